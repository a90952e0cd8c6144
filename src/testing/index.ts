/**
 * The public names of `upcall/testing`: a bench for devices and PCI cards without a guest, and what
 * can be checked there. docs/write-a-device.md shows it at work.
 */

export type { Bench, BenchSpace } from './bench.js';
export {
  deviceBench,
  type BenchOptions,
  type DeviceBenchOptions,
  type DeviceClass,
  type ModuleUrl,
} from './device-bench.js';
export { cardBench, type CardBench, type CardClass, type CreateCard } from './card-bench.js';
export { play, PlayError } from './play.js';
export { parseProgram, programText, type Expectation, type Place, type Step } from './program.js';
export { checkRegisters, type RegisterCheck, type RegisterCheckOptions } from './register-check.js';
export { findFailingProgram, type RandomProgramOptions } from './random-programs.js';
export type { FailingProgram, TestFile } from './test-file.js';
export { RegisterCoverage, type FieldCoverage } from './register-coverage.js';
export {
  importRegisters,
  type ImportedRegisters,
  type ImportOptions,
} from '../device-model/register-import/import-registers.js';
