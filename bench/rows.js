// @ts-check
/**
 * The rows of the benchmark. Each file below exports its `title`, its `rows` and, unless its
 * programs are in C, the `measure` that bench/case.js calls. A row is one number of one process.
 * Rows of the same process share a run.
 */

/**
 * @typedef {object} Process
 * @property {string} file from bench/: a .js file with `measure`, or a .c file
 * @property {readonly string[]} [args]
 * @property {readonly string[]} [flags] for node
 * @property {number} [cores] needed; unavailable on a machine with fewer
 *
 * @typedef {object} Comparison the ratio of the row's number to that of another row
 * @property {string} to the name of the other row
 * @property {number} [times] compare with a multiple of the other, e.g. two round trips; default: 1
 * @property {number} [max] target: the ratio is at most this
 * @property {number} [min] target: the ratio is at least this
 *
 * @typedef {object} Row
 * @property {string} name
 * @property {string} unit
 * @property {Process} process
 * @property {string} [value] name of the number in the process's output; default: `value`
 * @property {readonly Comparison[]} [compare]
 * @property {number} [max] target for the value
 * @property {boolean} [quick] also measured by --quick
 *
 * @typedef {{ title: string, rows: readonly Row[] }} Group
 */

const FILES = [
  'cases/one-thread.js',
  'cases/steps.js',
  'reference/dispatcher.js',
  'cases/both-sides.js',
  'cases/two-threads.js',
  'cases/device-thread.js',
  'reference/round-trips.js',
  'reference/atomics-wait.js',
  'reference/post-message.js',
  'reference/unix-socket.js',
  'cases/vfio-user.js',
  'cases/many-vcpus.js',
  'cases/bursts.js',
  'cases/busy-machine.js',
  'cases/idle-gaps.js',
  'cases/guest-loop.js',
  'cases/kvm.js',
  'cases/debian-boot.js',
  'cases/console.js',
  'cases/disk.js',
  'cases/network.js',
  'cases/programs.js',
  'cases/trace-moves.js',
  'cases/live-page.js',
  'cases/allocation.js',
  'cases/first-request.js',
  'cases/memory.js',
];

/** @returns {Promise<Group[]>} */
export function allGroups() {
  return Promise.all(
    FILES.map(async (file) => {
      const { title, rows } = await import(new URL(file, import.meta.url).href);
      return { title, rows };
    }),
  );
}

/**
 * The selected rows and the rows that they are compared with.
 * @param {readonly Group[]} groups
 * @param {(row: Row, group: Group) => boolean} isWanted
 * @param {boolean} isQuick keeps only the first of several references, and those that a target
 *   needs
 * @returns {Group[]} without empty groups
 */
export function select(groups, isWanted, isQuick) {
  const wanted = new Set();
  const byName = new Map(groups.flatMap(({ rows }) => rows.map((row) => [row.name, row])));
  const want = (/** @type {Row | undefined} */ row) => {
    if (row === undefined || wanted.has(row)) return;
    wanted.add(row);
    // The references of a reference are not needed.
    for (const [index, { to, min, max }] of (row.compare ?? []).entries())
      if (!isQuick || index === 0 || (min ?? max) !== undefined) wanted.add(byName.get(to));
  };
  for (const group of groups) for (const row of group.rows) if (isWanted(row, group)) want(row);
  return groups
    .map(({ title, rows }) => ({ title, rows: rows.filter((row) => wanted.has(row)) }))
    .filter(({ rows }) => rows.length > 0);
}
