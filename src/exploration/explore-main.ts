/**
 * The command line of the explorer: `npm run explore -- --help`. It searches the configurations and
 * the seeded defects, prints tables of what it finds, and replays a schedule.
 *
 * Exit code: 0 if the search found what it should (no violation in the shipped code, one for each
 * defect), 1 if not, 2 for an error. A replay exits with 0 whether a rule breaks or not.
 */

import { readFileSync, writeFileSync } from 'node:fs';
import Table from 'cli-table3';
import { Command, InvalidArgumentError, Option } from 'commander';
import { UpcallError } from '../io-request/upcall-error.js';
import { CONFIGURATIONS, planOf, type Configuration } from './acrn/configurations.js';
import { DEFECTS } from './acrn/defects.js';
import { acrnModel } from './acrn/model.js';
import { acrnProgram } from './acrn/program.js';
import { parseWorldPlan } from './acrn/parse-world-plan.js';
import { loadCompiler } from './engine/compiler.js';
import { explore, exploreRandomly, type Exploration } from './engine/explore.js';
import type { Model } from './engine/model.js';
import type { ExploredProgram } from './engine/program.js';
import { parseSchedule, replay, type Schedule } from './engine/schedule.js';
import { scheduleTable } from './engine/schedule-table.js';

interface Options {
  readonly config?: string[];
  readonly slice?: boolean;
  readonly defects?: boolean;
  readonly random?: number;
  readonly seed: number;
  readonly maxSeconds?: number;
  readonly replay?: string;
  readonly save?: string;
  readonly all?: boolean;
}

/** ExploreOptions.shortestWithin: a bound on memory, because that search keeps every state. */
const SHORTEST_WITHIN = 300_000;

/** Ctrl-C was pressed: the current search ends, and no other begins. */
let isInterrupted = false;

const command = new Command('explore')
  .description('Search every interleaving of the request path in small worlds, and random ones in large worlds.')
  .option('-c, --config <name...>', 'only these configurations (or defects, with --defects)')
  .option('--slice', 'search the small part of each configuration that the tests search')
  .option('--defects', 'search the code with each seeded defect, which must be found')
  .addOption(
    new Option('--random <schedules>', 'run this many random schedules of each configuration instead').argParser(
      parseCount,
    ),
  )
  .addOption(new Option('--seed <number>', 'the first seed of the random schedules').argParser(parseCount).default(1))
  .addOption(new Option('--max-seconds <seconds>', 'stop each search after this time').argParser(parseCount))
  .option('--save <file>', 'write the schedule of a violation to a file')
  .option('--replay <file>', 'run a saved schedule and print it')
  .option('--all', 'print also the words that only the owner of a slot uses')
  .addHelpText('after', () => `\nConfigurations:\n${CONFIGURATIONS.map(describe).join('\n')}\n`);

function describe({ name, summary }: Configuration): string {
  return `  ${name.padEnd(18)}${summary}`;
}

function parseCount(text: string): number {
  const count = Number(text);
  if (!Number.isInteger(count) || count < 0) throw new InvalidArgumentError('expected a whole number from 0 on');
  return count;
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

/**
 * Progress on one line, where there is a terminal to show it. The empty text clears the line.
 * Resolves a turn of the event loop later, in which a Ctrl-C arrives, to whether to go on.
 */
function progress(text: string): Promise<boolean> {
  if (process.stderr.isTTY) process.stderr.write(`\r${text}\u001b[K`);
  return new Promise((resolve) => setImmediate(() => resolve(!isInterrupted)));
}

/** Those that `--config` names, or all. Throws for an unknown name. */
function selected<T extends { readonly name: string }>(all: readonly T[], { config }: Options): readonly T[] {
  const unknown = config?.filter((name) => !all.some((one) => one.name === name)) ?? [];
  if (unknown.length > 0)
    throw new UpcallError('OPTION_INVALID', `unknown name: ${unknown.join(', ')}`, {
      remedy: `Choose from: ${all.map(({ name }) => name).join(', ')}`,
    });
  return config === undefined ? all : all.filter(({ name }) => config.includes(name));
}

/** Prints a schedule as a table by replaying it, and saves it for `--save`. */
function show(program: ExploredProgram, model: Model, schedule: Schedule, options: Options): void {
  const run = replay(program, model, schedule);
  print(`\n${schedule.violation}\n\n${scheduleTable(run, { isComplete: options.all === true })}\n`);
  print(
    run.violation === undefined
      ? 'Replayed: the path to there. A single run does not show that no end can be reached from it.'
      : `Replayed: ${run.violation}`,
  );
  if (options.save !== undefined) writeFileSync(options.save, `${JSON.stringify(schedule)}\n`);
}

const COLUMNS = ['configuration', 'states', 'moves', 'runs', 'schedules', 'ends', 'seconds', 'search'];

/** Printed as soon as each is done: the next may take long. */
function printRow(cells: readonly string[]): void {
  const [name = '', ...counts] = cells;
  print(`${name.padEnd(18)}${counts.map((cell) => cell.padStart(14)).join('')}`);
}

function rowOf(name: string, { result, seconds }: Exploration): string[] {
  const end = result.violation !== undefined ? 'VIOLATION' : result.isComplete ? 'complete' : 'stopped';
  const counts = [result.states, result.moves, result.runs].map((count) => count.toLocaleString('en'));
  return [name, ...counts, result.schedules.toExponential(1), String(result.ends), seconds.toFixed(1), end];
}

async function searchAll(options: Options): Promise<number> {
  const configurations = selected(CONFIGURATIONS, options);
  const program = acrnProgram(loadCompiler());
  let violations = 0;
  let seconds = 0;
  const rows: string[][] = [];
  printRow(COLUMNS);
  for (const configuration of configurations) {
    if (isInterrupted) break;
    // Too large for a complete search.
    if (configuration.isForRandom === true) continue;
    const model = acrnModel(planOf(configuration, options.slice === true));
    const exploration = await explore(program, model, {
      maxSeconds: options.maxSeconds,
      shortestWithin: SHORTEST_WITHIN,
      onProgress: (states, seconds, moves) =>
        progress(
          `${configuration.name}: ${states.toLocaleString('en')} states, ${seconds.toFixed(0)} s, ` +
            `${Math.round(moves / seconds).toLocaleString('en')} moves/s`,
        ),
    });
    await progress('');
    rows.push(rowOf(configuration.name, exploration));
    seconds += exploration.seconds;
    printRow(rows.at(-1) ?? []);
    if (exploration.schedule === undefined) continue;
    violations++;
    show(program, model, exploration.schedule, options);
  }
  if (rows.length > 1) {
    const table = new Table({ head: COLUMNS, style: { head: [], border: [] } });
    table.push(...rows);
    print(`\n${table.toString()}\n${rows.length} configurations in ${seconds.toFixed(0)} s`);
  }
  return violations === 0 ? 0 : 1;
}

async function searchRandomly(options: Options, runs: number): Promise<number> {
  const configurations = selected(CONFIGURATIONS, options);
  const program = acrnProgram(loadCompiler());
  let violations = 0;
  for (const configuration of configurations) {
    if (isInterrupted) break;
    const model = acrnModel(planOf(configuration, options.slice === true));
    const { seed } = options;
    const found = await exploreRandomly(program, model, {
      seed,
      runs,
      maxSeconds: options.maxSeconds,
      onProgress: (run, seconds) => progress(`${configuration.name}: ${run} schedules, ${seconds.toFixed(0)} s`),
    });
    await progress('');
    const end = found.schedule === undefined ? 'no violation' : `VIOLATION with seed ${found.seed}`;
    print(
      `${configuration.name.padEnd(18)} ${found.runs} schedules from seed ${seed} on, ${found.moves} moves, ${found.seconds.toFixed(1)} s: ${end}`,
    );
    if (found.schedule === undefined) continue;
    violations++;
    show(program, model, found.schedule, options);
  }
  return violations === 0 ? 0 : 1;
}

async function searchDefects(options: Options): Promise<number> {
  const defects = selected(DEFECTS, options);
  const ts = loadCompiler();
  const table = new Table({
    head: ['defect', 'found after runs', 'states', 'steps', 'seconds', 'violation'],
    style: { head: [], border: [] },
    colWidths: [null, null, null, null, null, 60],
    wordWrap: true,
  });
  let survivors = 0;
  for (const defect of defects) {
    if (isInterrupted) break;
    const program = acrnProgram(ts, [defect]);
    const model = acrnModel(defect.plan);
    const { result, schedule, seconds } = await explore(program, model, {
      maxSeconds: options.maxSeconds,
      shortestWithin: SHORTEST_WITHIN,
      onProgress: (states) => progress(`${defect.name}: ${states} states`),
    });
    await progress('');
    if (schedule === undefined) survivors++;
    const steps = schedule?.steps.length ?? '';
    table.push([defect.name, result.runs, result.states, steps, seconds.toFixed(1), schedule?.violation ?? 'SURVIVED']);
    if (schedule === undefined || options.config === undefined) continue;
    print(`\n${defect.name}: ${defect.sentence}`);
    show(program, model, { ...schedule, defect: defect.name }, options);
  }
  print(table.toString());
  return survivors === 0 ? 0 : 1;
}

function replayFile(file: string, options: Options): number {
  const schedule = parseSchedule(readFileSync(file, 'utf8'));
  const changes = schedule.defect === undefined ? [] : DEFECTS.filter(({ name }) => name === schedule.defect);
  const program = acrnProgram(loadCompiler(), changes);
  show(program, acrnModel(parseWorldPlan(schedule.plan)), schedule, options);
  return 0;
}

async function main(options: Options): Promise<number> {
  if (options.replay !== undefined) return replayFile(options.replay, options);
  if (options.defects === true) return searchDefects(options);
  if (options.random !== undefined) return searchRandomly(options, options.random);
  return searchAll(options);
}

/**
 * The first Ctrl-C ends the current search and prints what was found. The second ends the program.
 */
process.on('SIGINT', () => {
  if (isInterrupted) process.exit(130);
  isInterrupted = true;
});

try {
  process.exitCode = await main(command.parse().opts<Options>());
} catch (error) {
  process.stderr.write(
    `${error instanceof UpcallError ? error.describe() : error instanceof Error ? error.message : String(error)}\n`,
  );
  process.exitCode = 2;
}
