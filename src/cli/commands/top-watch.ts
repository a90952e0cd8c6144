/**
 * What `upcall top` does: watches a guest by its live page's address or runs one of its own, and
 * draws it until somebody leaves.
 */

import ansiEscapes from 'ansi-escapes';
import { PassThrough, Writable } from 'node:stream';
import type { ReadStream } from 'node:tty';
import { ClientList } from '../../dashboard/client-list.js';
import { stopsMessage } from '../../dashboard/rows.js';
import { SlotSampler } from '../../dashboard/slot-sampler.js';
import { TableSampler } from '../../dashboard/table-sampler.js';
import type { UserVm } from '../../vm/user-vm.js';
import { ExitStatus } from '../exit-status.js';
import type { Reporter } from '../reporter.js';
import { runSession, type SessionPlan } from '../session.js';
import { RawTerminal } from '../terminal.js';
import { slotsOf, TopConnection } from '../top-connection.js';
import { topScreen, type TopStyle, type TopView } from '../top-screen.js';

const FRAME_MS = 250;
const CTRL_C = 3;
const [DEFAULT_COLUMNS, DEFAULT_ROWS] = [80, 24];

/** Bold, inverse, dim (SGR 1, 7 and 2), and what ends them. */
const LOOKS: Readonly<Record<TopStyle, readonly [begin: string, end: string]>> = {
  title: ['\u001b[1m', '\u001b[22m'],
  head: ['\u001b[7m', '\u001b[27m'],
  held: ['\u001b[1m', '\u001b[22m'],
  idle: ['\u001b[2m', '\u001b[22m'],
  plain: ['', ''],
};

/** Resolves when somebody leaves, or the guest is gone. */
export async function watchAddress(address: string): Promise<void> {
  const connection = new TopConnection(address);
  const screen = new Screen(() => connection.view);
  try {
    const end = await Promise.race([connection.ended, screen.left]);
    screen.close();
    if (end !== undefined) process.stderr.write(`${end}\n`);
  } finally {
    screen.close();
    connection.close();
  }
}

/** Runs the guest until it ends or somebody leaves. */
export async function watchOwn(plan: SessionPlan, reporter: Reporter): Promise<ExitStatus> {
  const session = { hasLeft: false };
  const watch = async (vm: UserVm): Promise<void> => {
    const screen = new Screen(viewOf(vm, plan.hypervisor.name));
    void screen.left.then(() => {
      session.hasLeft = true;
      // At once: the VM may take a moment to end.
      screen.close();
      void vm.destroy();
    });
    await vm.ended;
    screen.close();
  };
  const input = Object.assign(new PassThrough(), { isTTY: false }) as unknown as ReadStream;
  const output = new Writable({ write: (_chunk, _encoding, done) => done() });
  const counted = { ...plan, vm: { ...plan.vm, statistics: true }, watch };
  const status = await runSession(counted, { input, output, reporter });
  return session.hasLeft ? ExitStatus.OK : status;
}

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
      stops: stopsMessage(vm.debugger).stops,
    };
  };
}

/** Attributes, not colours: they suit every terminal's own. */
function dressed(text: string, look: TopStyle, columns: number): string {
  const [begin, end] = LOOKS[look];
  return begin + (look === 'head' ? text.padEnd(columns) : text) + end;
}

/** The terminal, as long as top has it. */
class Screen {
  /** Resolves when whoever sits there wants to leave. */
  readonly left: Promise<undefined>;
  readonly #view: () => TopView | undefined;
  readonly #timer: NodeJS.Timeout;
  readonly #terminal = process.stdin.isTTY ? new RawTerminal(process.stdin) : undefined;
  readonly #isTerminal = process.stdout.isTTY;
  #leave: () => void = () => undefined;
  #isClosed = false;
  readonly #onKey = (keys: Buffer): void => {
    if (keys.includes('q') || keys.includes(CTRL_C)) this.#leave();
  };
  readonly #onSignal = (): void => this.#leave();

  constructor(view: () => TopView | undefined) {
    this.#view = view;
    this.left = new Promise((resolve) => (this.#leave = () => resolve(undefined)));
    if (this.#isTerminal) process.stdout.write(ansiEscapes.enterAlternativeScreen + ansiEscapes.cursorHide);
    this.#terminal?.enter();
    if (this.#terminal !== undefined) process.stdin.on('data', this.#onKey);
    process.on('SIGINT', this.#onSignal).on('SIGTERM', this.#onSignal);
    this.#timer = setInterval(() => this.#draw(), this.#isTerminal ? FRAME_MS : 1000);
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearInterval(this.#timer);
    process.off('SIGINT', this.#onSignal).off('SIGTERM', this.#onSignal);
    if (this.#terminal !== undefined) process.stdin.off('data', this.#onKey).pause();
    this.#terminal?.restore();
    if (this.#isTerminal) process.stdout.write(ansiEscapes.cursorShow + ansiEscapes.exitAlternativeScreen);
  }

  #draw(): void {
    const view = this.#view();
    if (view === undefined) return;
    const columns = process.stdout.columns || DEFAULT_COLUMNS;
    const lines = topScreen(view, columns, (this.#isTerminal ? process.stdout.rows : Infinity) || DEFAULT_ROWS);
    if (!this.#isTerminal) process.stdout.write(`${lines.map(({ text }) => text).join('\n')}\n\n`);
    else
      process.stdout.write(
        ansiEscapes.cursorTo(0, 0) +
          lines.map(({ text, look }) => dressed(text, look, columns) + ansiEscapes.eraseEndLine).join('\r\n') +
          ansiEscapes.eraseDown,
      );
  }
}
