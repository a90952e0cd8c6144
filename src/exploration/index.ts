/** The public names of the explorer: `import { … } from 'upcall/exploration'`. See docs/exploration.md. */

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
export { loadCompiler } from './engine/compiler.js';
export { CONFIGURATIONS, planOf, SMALLEST, type Configuration } from './search/configurations.js';
export type { Defect } from './search/defect.js';
export { DEFECTS } from './search/defects.js';
export type { SearchLimits, SearchResult } from './search/exhaustive-search.js';
export {
  explore,
  exploreRandomly,
  type Exploration,
  type ExploreOptions,
  type RandomExploration,
  type RandomOptions,
} from './search/explore.js';
export { ExploredProgram } from './search/explored-world.js';
export { parseSchedule, replay, type Replay, type Schedule } from './search/schedule.js';
export { scheduleTable } from './search/schedule-table.js';
export type { Answering, OperatorAct, WorldPlan } from './world/world.js';
