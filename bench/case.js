// @ts-check
/**
 * One measurement in a process of its own: `node bench/case.js FILE ARGS…`.
 *
 * It imports FILE (from bench/), calls its `measure(...ARGS)` and prints the result as one line of
 * JSON: numbers by name (a row of rows.js shows one of them, most often `value`), or
 * `{ "unavailable": reason }` if this machine cannot run it.
 * Called by: bench/process.js.
 */

const [file, ...args] = process.argv.slice(2);
if (file === undefined) {
  console.error('node bench/case.js FILE ARGS…, FILE from bench/, e.g. cases/one-thread.js 16 uniform bare');
  process.exit(2);
}
const { measure } = await import(new URL(file, import.meta.url).href);
/** Error codes of a missing prerequisite, in contrast to a fault of the product. */
const MISSING = ['DOWNLOAD_FAILED', 'TOOL_MISSING', 'HYPERVISOR_UNAVAILABLE'];
try {
  console.log(JSON.stringify(await measure(...args)));
} catch (error) {
  const { code, message } = /** @type {{ code?: string, message: string }} */ (error);
  if (code === undefined || !MISSING.includes(code)) throw error;
  console.log(JSON.stringify({ unavailable: message }));
}
// Ends threads that still run.
process.exit(0);
