/**
 * The two modes of `upcall top`: watch the guest of another process through the address of its live
 * page, or run a guest of its own. Both draw the screen (top-screen.ts) until the user quits.
 *
 * Called by: top.ts.
 */

import ansiEscapes from 'ansi-escapes';
import { PassThrough, Writable } from 'node:stream';
import type { ReadStream } from 'node:tty';
import { ClientList } from '../../dashboard/client-list.js';
import { stopRow } from '../../dashboard/rows.js';
import { SlotSampler } from '../../dashboard/slot-sampler.js';
import { TableSampler } from '../../dashboard/table-sampler.js';
import type { UserVm } from '../../vm/user-vm.js';
import { ExitStatus } from '../exit-status.js';
import type { Reporter } from '../reporter.js';
import { runSession, type SessionPlan } from '../session.js';
import { ENDING_SIGNALS } from '../session-end.js';
import type { SessionEnding } from '../session-ending.js';
import { RawTerminal } from '../terminal.js';
import { slotsOf, TopConnection } from '../top-connection.js';
import { topScreen, type TopStyle, type TopView } from '../top-screen.js';

/** Time between two screens on a terminal. */
const FRAME_MS = 250;
/** Time between two screens that are printed one below the other, without a terminal. */
const PRINT_MS = 1000;
/** The byte that a terminal in raw mode sends for Ctrl-C. */
const CTRL_C = 3;
/** The size of a terminal that does not report it. */
const [DEFAULT_COLUMNS, DEFAULT_ROWS] = [80, 24];

/** Bold, inverse, dim (SGR 1, 7 and 2) and their ends. */
const STYLES: Readonly<Record<TopStyle, readonly [begin: string, end: string]>> = {
  title: ['\u001b[1m', '\u001b[22m'],
  head: ['\u001b[7m', '\u001b[27m'],
  held: ['\u001b[1m', '\u001b[22m'],
  idle: ['\u001b[2m', '\u001b[22m'],
  plain: ['', ''],
};

/**
 * Resolves when the user quits or the guest ends. Rejects with OPTION_INVALID if no page answers or
 * the page refuses the token.
 */
export async function watchAddress(address: string): Promise<void> {
  const connection = new TopConnection(address);
  const screen = new Screen(() => connection.view);
  try {
    const end = await Promise.race([connection.ended, screen.quit]);
    screen.close();
    if (end !== undefined) process.stderr.write(`${end}\n`);
  } finally {
    screen.close();
    connection.close();
  }
}

/** Runs the guest until it ends, or the user quits by a key or a signal: the status is then OK. */
export async function runAndWatch(plan: SessionPlan, reporter: Reporter, ending: SessionEnding): Promise<ExitStatus> {
  // An object: TypeScript takes a `let` that only a callback changes for false.
  const session = { hasQuit: false };
  const watch = async (vm: UserVm): Promise<void> => {
    const screen = new Screen(viewOf(vm, plan.hypervisor.name));
    void screen.quit.then(() => {
      session.hasQuit = true;
      // At once: the end of the VM may take a moment.
      screen.close();
      void vm.destroy();
    });
    await vm.ended;
    screen.close();
  };
  // The guest's console is not shown: it gets no input, and its output is dropped.
  const input = Object.assign(new PassThrough(), { isTTY: false }) as unknown as ReadStream;
  const output = new Writable({ write: (_chunk, _encoding, done) => done() });
  // The VM counts for the screen. `plan.statistics` alone decides on the table at the end.
  const watched = { ...plan, vm: { ...plan.vm, statistics: true }, watch };
  const status = await runSession(watched, { input, output, reporter }, ending);
  return session.hasQuit ? ExitStatus.OK : status;
}

/** Samples a VM of this process, as the live page's server does for a browser. */
function viewOf(vm: UserVm, hypervisor: string): () => TopView {
  const clients = new ClientList(vm.inspection);
  const slots = new SlotSampler(vm, clients);
  const tables = new TableSampler(vm);
  return () => {
    const names = clients.message().clients.map(({ name }) => name);
    return {
      name: vm.name,
      hypervisor,
      tables: tables.sample(),
      slots: slotsOf(slots.sample(), names),
      stops: vm.debugger.stops.map(stopRow),
    };
  };
}

/** The text with terminal attributes instead of colours: they suit every terminal's palette. */
function styled(text: string, style: TopStyle, columns: number): string {
  const [begin, end] = STYLES[style];
  return begin + (style === 'head' ? text.padEnd(columns) : text) + end;
}

/** The terminal while `upcall top` draws on it. Without a terminal, it prints. */
class Screen {
  /** Resolves when the user quits: by a key or by one of ENDING_SIGNALS. */
  readonly quit: Promise<undefined>;
  readonly #view: () => TopView | undefined;
  readonly #timer: NodeJS.Timeout;
  /** Restoring the terminal's mode, also after a signal or an error, leaves the screen as well. */
  readonly #terminal = new RawTerminal({ setRawMode: (isRaw) => this.#show(isRaw) });
  readonly #isTerminal = process.stdout.isTTY;
  #isShown = false;
  #requestQuit: () => void = () => undefined;
  #isClosed = false;
  readonly #onKey = (keys: Buffer): void => {
    if (keys.includes('q') || keys.includes(CTRL_C)) this.#requestQuit();
  };
  readonly #onSignal = (): void => this.#requestQuit();

  constructor(view: () => TopView | undefined) {
    this.#view = view;
    this.quit = new Promise((resolve) => (this.#requestQuit = () => resolve(undefined)));
    this.#terminal.enter();
    if (process.stdin.isTTY) process.stdin.on('data', this.#onKey);
    for (const signal of ENDING_SIGNALS) process.on(signal, this.#onSignal);
    this.#timer = setInterval(() => this.#draw(), this.#isTerminal ? FRAME_MS : PRINT_MS);
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearInterval(this.#timer);
    for (const signal of ENDING_SIGNALS) process.off(signal, this.#onSignal);
    if (process.stdin.isTTY) process.stdin.off('data', this.#onKey).pause();
    this.#terminal.restore();
  }

  #show(isShown: boolean): void {
    this.#isShown = isShown;
    if (process.stdin.isTTY) process.stdin.setRawMode(isShown);
    const { enterAlternativeScreen, exitAlternativeScreen, cursorHide, cursorShow } = ansiEscapes;
    if (this.#isTerminal)
      process.stdout.write(isShown ? enterAlternativeScreen + cursorHide : cursorShow + exitAlternativeScreen);
  }

  #draw(): void {
    const view = this.#view();
    if (view === undefined || !this.#isShown) return;
    const columns = process.stdout.columns || DEFAULT_COLUMNS;
    const lines = topScreen(view, columns, (this.#isTerminal ? process.stdout.rows : Infinity) || DEFAULT_ROWS);
    if (!this.#isTerminal) process.stdout.write(`${lines.map(({ text }) => text).join('\n')}\n\n`);
    else
      process.stdout.write(
        ansiEscapes.cursorTo(0, 0) +
          lines.map(({ text, style }) => styled(text, style, columns) + ansiEscapes.eraseEndLine).join('\r\n') +
          ansiEscapes.eraseDown,
      );
  }
}
