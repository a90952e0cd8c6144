/**
 * The public names of the explorer: `import { … } from 'upcall/exploration'`. See
 * docs/exploration.md.
 *
 * The engine runs code whose threads share SharedArrayBuffers, and tries every order of their
 * accesses to that memory, or random ones. The rest is what upcall itself explores with it.
 */

// The engine.
export {
  after,
  before,
  copy,
  drop,
  move,
  replace,
  type CodeChange,
  type Edit,
  type Target,
} from './engine/change/code-change.js';
export * as select from './engine/change/selector.js';
export { CodeBase, type CodeOptions } from './engine/code/code-base.js';
export { CompilerMissing, loadCompiler, type Compiler } from './engine/compiler.js';
export {
  explore,
  exploreRandomly,
  type Exploration,
  type ExploreOptions,
  type RandomExploration,
  type RandomOptions,
} from './engine/explore.js';
export type { Entry, Model, ThreadPlan, WordNaming } from './engine/model.js';
export { note, offer, threadEnd } from './engine/probe.js';
export { ExploredProgram } from './engine/program.js';
export { parseSchedule, replay, ScheduleError, type Replay, type Schedule } from './engine/schedule.js';
export { scheduleTable, type TableOptions } from './engine/schedule-table.js';
export type { SearchLimits, SearchResult } from './engine/search/exhaustive-search.js';
export type { WatchedSpace, Watcher, WordAddress } from './engine/search/space-parts.js';
export { Violation } from './engine/search/violation.js';

// The request path of upcall.
export { CONFIGURATIONS, planOf, SMALLEST, type Configuration } from './acrn/configurations.js';
export type { Defect } from './acrn/defect.js';
export { DEFECTS } from './acrn/defects.js';
export { acrnModel } from './acrn/model.js';
export { acrnProgram } from './acrn/program.js';
export type { Answering, OperatorAct, WorldPlan } from './acrn/world.js';
