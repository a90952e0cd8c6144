// Mutation test of the code that dispatches and finishes requests: changes one thing at a time and
// runs the tests that should notice. Exits with 1 if no test noticed a change.
//
//   npm run build && node scripts/mutants.mjs [word…]   only mutants whose output line has a word
//   npm run build && node scripts/mutants.mjs --check   only whether each has its place in the code
//
// It works on a copy of the compiled sources in the system's temporary folder.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readOptions } from './script-options.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const dist = process.env.UPCALL_DIST ?? join(root, 'dist');
const TEST_TIMEOUT_MS = 60_000;

const HELP = `mutants [--check] [WORD…]: runs the tests that should notice with each mutant of the request path
  WORD     only mutants whose output line has one of these words
  --check  only whether each has its place in the code
`;
const { values: options, positionals: words } = readOptions(HELP, {
  allowPositionals: true,
  options: { check: { type: 'boolean', default: false } },
});

if (!existsSync(join(root, 'dist/exploration/engine/change/code-change.js'))) {
  process.stderr.write('Build first: npm run build\n');
  process.exit(2);
}
const { loadCompiler } = await import('../dist/exploration/engine/compiler.js');
const { after, applyChange, before, describeChange, drop, move, replace } =
  await import('../dist/exploration/engine/change/code-change.js');
const { access, binary, call, condition, conditional, ifStatement, initial, literal, loop, nth, operand, statement } =
  await import('../dist/exploration/engine/change/selector.js');
const { javaScript, MutatedCopy } = await import('./mutation/mutated-copy.mjs');

const ts = loadCompiler();

const SCRIPTS = [
  'conformance/hsm-script.test.js',
  'conformance/hsm-script-edges.test.js',
  'conformance/driver-model.test.js',
];
const LOOKUP = [...SCRIPTS, 'hsm/address-map.test.js', 'hsm/range-index.test.js'];
const FINISH = [...SCRIPTS, 'hsm/request-finisher.test.js', 'hsm/slot-assignment.test.js'];
const CONTROL = ['conformance/control-requests.test.js', 'conformance/control-model.test.js'];
const IOEVENTFD = ['hsm/ioeventfd.test.js'];
const IRQFD = ['hsm/irqfd.test.js'];
const WORKER = ['hsm/dispatch-worker.test.js'];
const TICKETS = ['hsm/ticket-counter.test.js'];
const LANE = ['trace/lane.test.js'];

/**
 * @typedef {import('../dist/exploration/engine/change/code-change.js').CodeChange} CodeChange
 * @typedef {import('../dist/exploration/engine/change/code-change.js').Edit} Edit
 * @typedef {{ change: CodeChange, tests: string[] }} Mutant
 */

/**
 * One mutant for each edit of a function, and the tests that must notice.
 * @type {(module: string, path: string | undefined, tests: string[], ...edits: (Edit | Edit[])[]) => Mutant[]}
 */
const of = (module, path, tests, ...edits) =>
  edits.map((edit) => ({ change: { module, ...(path === undefined ? {} : { in: path }), edit }, tests }));

/** @type {Mutant[]} */
const MUTANTS = [
  // Lookup.
  of('hsm/address-map', 'AddressMap.clients', SCRIPTS, replace(call('reverse'), '$0')),
  of('hsm/address-map', 'AddressMap.addRange', SCRIPTS, replace(call('unshift'), '$0.length > 0 || $&')),
  of('hsm/address-map', 'AddressMap.addRange', LOOKUP, replace(binary('===', 'room'), '$1 < $2')),
  of('hsm/address-map', 'AddressMap.removeRange', SCRIPTS, replace(call('splice'), '$0.splice(0, 1)')),
  of('hsm/address-map', 'AddressMap.removeRange', LOOKUP, [
    drop(statement('#rangeCount')),
    drop(statement('#isChanged')),
  ]),
  of(
    'hsm/address-map',
    'AddressMap.find',
    SCRIPTS,
    drop(operand('&&', 'MMIO')),
    replace(conditional('sum', '==='), '$3'),
    replace(conditional('sum', '>'), '$3'),
    replace(binary('>', 'sum'), '$1 >= $2'),
    replace(binary('-', 'sum'), '$1'),
    drop(operand('+', 'sizeHigh')),
    replace(binary('>>>', 'carry'), '$1'),
  ),
  // The walk, for accesses that wrap, lie very high, or cross a border.
  of(
    'hsm/address-map',
    'AddressMap.#scan',
    LOOKUP,
    drop(ifStatement('types')),
    drop(nth(operand('||', 'startHigh'), 1, 2)),
    replace(binary('<', 'low'), '$1 <= $2'),
    drop(nth(operand('||', 'endHigh'), 1, 2)),
    replace(binary('>', 'lastLow'), '$1 >= $2'),
  ),
  // The index.
  of(
    'hsm/range-index',
    'RangeIndex.find',
    LOOKUP,
    drop(ifStatement('last', 'address')),
    drop(ifStatement('LIMIT_HIGH')),
    replace(binary('<', 'last', '1'), '$1 <= $2'),
    replace(binary('<', 'last', '2'), '$1 <= $2'),
    replace(access('#bridging', 'segment'), 'this.#covering[$1]'),
    replace(operand('&&', 'PAGE_SHIFT'), 'true'),
    drop(operand('&&', 'high')),
  ),
  of('hsm/range-index', 'RangeIndex.#entryOf', LOOKUP, drop(operand('||', 'page'))),
  of('hsm/range-index', 'RangeIndex.#within', LOOKUP, replace(binary('<='), '$1 < $2')),
  of('hsm/range-index', 'cut', LOOKUP, replace(binary('+', 'Number'), '$1')),
  of('hsm/range-index', 'splitIntoPages', LOOKUP, drop(statement('long', 'push'))),
  of('hsm/range-index', 'splitIntoPages.put', LOOKUP, drop(statement('known', 'segment'))),
  of('hsm/range-index', 'OpenRanks.add', LOOKUP, replace(ifStatement('rank'), '$2')),
  of('hsm/range-index', 'OpenRanks.#pop', LOOKUP, replace(operand('&&', 'heap', '['), 'false')),
  // 0xCF8 and 0xCFC.
  of(
    'hsm/pci-config-access',
    undefined,
    SCRIPTS,
    replace(initial('CONFIG_ADDRESS'), '0xcf9'),
    replace(initial('CONFIG_DATA'), '0xcfb'),
    replace(initial('CONFIG_DATA_END'), '0xcff'),
  ),
  of(
    'hsm/pci-config-access',
    'PciConfigAccess.handle',
    SCRIPTS,
    drop(ifStatement('addressHigh')),
    replace(access('valueLow'), '$& & 0xff'),
    replace(call('setValue', '#address'), '$0.setValue($1 & ~0x8000_0000)'),
    replace(binary('===', 'ENABLE'), '$1 !== $2'),
    replace(call('setValue', '-'), '$0.setValue(0)'),
    replace(nth(ifStatement('READ'), 2, 2), '$2'),
    replace(literal('0xff'), '0x7f'),
    replace(literal('0x1f'), '0xf'),
    replace(literal('0x7'), '0x3'),
    drop(operand('+', '0xf00')),
    drop(operand('+', 'CONFIG_DATA')),
    replace(literal('0xfc'), '0xff'),
  ),
  // The slot's moves.
  of(
    'io-request/slot',
    'Slot.assign',
    SCRIPTS,
    replace(call('#move'), '$0.#move(FREE, $2)'),
    replace(conditional('kernelHandled'), '$1 ? $3 : $2'),
  ),
  of('io-request/slot', 'Slot.complete', SCRIPTS, replace(nth(call('#move'), 1, 2), '$0.#move(FREE, $2)')),
  of('io-request/slot', 'Slot.release', SCRIPTS, replace(call('#move'), '$0.#move(PROCESSING, $2)')),
  of('io-request/slot', 'Slot.fill', SCRIPTS, replace(call('storeIfChanged', 'POLLING'), 'storeIfChanged($1, $2, 0)')),
  of('io-request/slot', 'storeIfChanged', SCRIPTS, replace(binary('!=='), '$1 === 0')),
  of('io-request/slot', 'Slot.rewriteAsPci', SCRIPTS, replace(binary('=', 'PCI_BUS'), '$1 = 0')),
  // Dispatching and finishing a request.
  of(
    'hsm/vm-requests',
    'VmRequests.#dispatchSlot',
    SCRIPTS,
    replace(binary('??'), '$2 ?? $1'),
    replace(condition('#isClearing'), 'false'),
    replace(nth(call('complete'), 1, 2), '$0.complete($1)'),
    replace(nth(call('complete'), 2, 2), '$0.complete($1)'),
  ),
  of('hsm/vm-requests', 'VmRequests.finishDefault', ['hsm/vm-requests.test.js'], replace(binary('>='), '$1 > $2')),
  of('hsm/vm-requests', 'VmRequests.clear', SCRIPTS, drop(statement('#isClearing', 'false'))),
  of('hsm/request-finisher', 'RequestFinisher.notify', SCRIPTS, replace(binary('<'), '$1 > $2')),
  of('hsm/slot-assignment', 'SlotAssignment.assign', SCRIPTS, replace(call('assign'), '$0.assign(true)')),
  of('hsm/assignments', 'Assignments.finishAsIs', [...CONTROL, ...FINISH], replace(conditional('owner'), '$2')),
  of('hsm/clear-wait', undefined, SCRIPTS, replace(initial('CLEAR_ROUNDS'), '9')),
  of(
    'hsm/request-finisher',
    'RequestFinisher.finish',
    FINISH,
    replace(condition('#take'), 'false'),
    drop(statement('setAnswer')),
    drop(statement('#giveBack')),
  ),
  of(
    'hsm/request-finisher',
    'RequestFinisher.finishAsIs',
    FINISH,
    replace(condition('#take'), 'false'),
    drop(statement('#giveBack')),
  ),
  of('hsm/request-finisher', 'RequestFinisher.complete', FINISH, replace(initial('polling'), 'false')),
  of('hsm/request-finisher', 'RequestFinisher.#take', FINISH, drop(operand('&&', 'move')), drop(operand('&&', '0'))),
  of(
    'hsm/slot-assignment',
    'SlotAssignment.finish',
    FINISH,
    drop(ifStatement('<=')),
    drop(ifStatement('loadRelaxed')),
    drop(statement('storeRelaxed')),
    drop(statement('setAnswer')),
  ),
  of('hsm/slot-assignment', 'SlotAssignment.withdraw', FINISH, drop(statement('move'))),
  of(
    'io-request/slot',
    'Slot.setAnswer',
    FINISH,
    replace(condition('READ'), 'false'),
    replace(call('setValue'), '$0.setValue64(low, high)'),
  ),
  // Kinds of defects that once passed every test.
  of('io-request/slot', 'Slot.fill', ['io-request/slot.test.js'], drop(statement('storeIfChanged', 'SIZE', '1'))),
  of('hsm/pending-work', 'PendingWork.ordered', WORKER, replace(condition('length'), '$1 < $2 - 1')),
  of('hsm/pending-work', 'PendingWork.relaxed', WORKER, replace(condition('length'), '$1 < $2 - 1')),
  of('hsm/dispatch-worker', 'DispatchWorker.pass', WORKER, move(statement('#isQueued'), after(loop('dispatch')))),
  of('hsm/dispatch-worker', 'DispatchWorker.queuePass', WORKER, drop(statement('#isQueued')), drop(statement('raise'))),
  of(
    'hsm/ticket-counter',
    'TicketCounter.next',
    TICKETS,
    replace(conditional('MAX_TICKET'), '$1 ? 0 : $3'),
    replace(conditional('MAX_TICKET'), '$3'),
    replace(binary('+'), '($1 & 3) + 1'),
  ),
  of(
    'vm/vm-life-cycle',
    'VmLifeCycle.#reset',
    ['vm/vm-life-cycle.test.js'],
    drop(statement('clear', 'requests')),
    replace(condition('withdraw'), 'false'),
    move(statement('resetDevices'), before(statement('clear', 'requests'))),
  ),
  of('trace/lane-reader', 'LaneReader.hasNext', LANE, replace(condition('age', 'READABLE_ENTRIES'), 'false')),
  of(
    'sync/shared-ring',
    'SharedRing.put',
    ['exploration/acrn/ring.test.js'],
    move(statement('TAIL', 'next'), before(loop('element'))),
    drop(ifStatement('next', 'head')),
  ),
  of('trace/lane', undefined, LANE, replace(initial('OVERWRITTEN'), '0'), replace(initial('OVERWRITTEN'), '2')),
  of('hsm/service-module', 'HypervisorServiceModule.addVm', SCRIPTS, replace(binary('='), '$1 = [...$1, vm]')),
  // The control interface.
  of(
    'acrn-hsm/hsm-file',
    'HsmFile.#requests',
    CONTROL,
    replace(binary('&'), '$1'),
    replace(conditional('reserved'), '$3'),
  ),
  of('acrn-hsm/userspace-client', 'UserspaceClient.attach', CONTROL, drop(operand('||', '#hasPending'))),
  of('acrn-hsm/userspace-client', 'UserspaceClient.disconnected', CONTROL, replace(call('#wake'), '$0.#wake(0)')),
  of(
    'hsm/ioeventfd',
    'IoEventFds.#match',
    IOEVENTFD,
    replace(binary('>='), '$1 === $2'),
    drop(operand('&&', 'address')),
    replace(conditional('isPort'), '$3'),
  ),
  of('hsm/ioeventfd', 'IoEventFds.notify', IOEVENTFD, replace(call('finish', '0'), '$0.finish($1, 1, 0)')),
  of('hsm/irqfd', 'IrqFds.#listen', IRQFD, drop(ifStatement('isReadable'))),
].flat();

/** @type {(change: CodeChange) => string} */
const mutated = (change) => applyChange(ts, readFileSync(join(root, `src/${change.module}.ts`), 'utf8'), change);

/** @type {(error: unknown) => string} */
const messageOf = (error) => (error instanceof Error ? error.message : String(error));

if (options.check) {
  const gone = MUTANTS.flatMap(({ change }) => {
    try {
      mutated(change);
      return [];
    } catch (error) {
      return [`${describeChange(change)}\n${messageOf(error)}\n`];
    }
  });
  process.stdout.write(gone.length === 0 ? `${MUTANTS.length} mutants, each has its place\n` : gone.join(''));
  process.exit(gone.length === 0 ? 0 : 1);
}
if (!existsSync(join(dist, 'conformance/hsm-script.test.js'))) {
  process.stderr.write('Build first: npm run build\n');
  process.exit(2);
}
const copy = new MutatedCopy(root, dist);
let survivors = 0;
let tried = 0;
try {
  const everyTest = [...new Set(MUTANTS.flatMap(({ tests }) => tests))];
  const healthy = await copy.run(everyTest, everyTest.length * TEST_TIMEOUT_MS);
  if (!healthy.passed) {
    process.stderr.write(`The tests fail without a change: ${healthy.by}\n`);
    process.exitCode = 2;
  } else {
    for (const { change, tests } of MUTANTS) {
      const name = describeChange(change);
      if (words.length > 0 && !words.some((word) => name.includes(word))) continue;
      let text;
      try {
        text = mutated(change);
      } catch (error) {
        process.stdout.write(`${messageOf(error)}\n`);
        survivors++;
        continue;
      }
      const program = javaScript(ts, `${change.module}.ts`, text);
      const { passed, by, seconds } = await copy.runWith(change.module, program, tests, TEST_TIMEOUT_MS);
      tried++;
      if (passed) survivors++;
      const how = `${passed ? '' : `${by}, `}${seconds.toFixed(1)} s`;
      process.stdout.write(`${passed ? 'SURVIVED ' : 'killed   '} ${name}  [${how}]\n`);
    }
    process.stdout.write(`${tried} mutants, ${survivors} survived or have no place\n`);
    if (survivors > 0) process.exitCode = 1;
  }
} finally {
  copy.close();
}
