/**
 * Qtest: the text protocol of QEMU's `-qtest` option: one command a line, one answer each, and
 * between them lines that report the interrupt lines.
 *
 * Called by: QemuMachine, which moves the text.
 *
 * Only commands that do not need QEMU's qtest accelerator are used, because distributions leave it
 * out (Debian does). So time is not moved by `clock_step`: the guest lets it pass.
 */

import { UpcallError } from '../../io-request/upcall-error.js';

interface Waiting {
  readonly command: string;
  readonly resolve: (answer: string) => void;
  readonly reject: (error: Error) => void;
}

const IRQ = /^IRQ (raise|lower) (\d+)$/;

export class Qtest {
  readonly #send: (line: string) => void;
  /** Called when an interrupt line that QEMU reports is raised or lowered. */
  readonly #onLine: (line: number, high: boolean) => void;
  /** Commands without an answer, oldest first: answers come in the order of the commands. */
  readonly #waiting: Waiting[] = [];
  /** The beginning of a line that is not complete. */
  #rest = '';
  #failure: Error | undefined;

  constructor(send: (line: string) => void, onLine: (line: number, high: boolean) => void) {
    this.#send = send;
    this.#onLine = onLine;
  }

  /** Returns what follows `OK`. Rejects if QEMU refuses the command or is gone. */
  command(command: string): Promise<string> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ command, resolve, reject });
      this.#send(`${command}\n`);
    });
  }

  async writeMemory(address: number, bytes: Uint8Array): Promise<void> {
    await this.command(`write 0x${address.toString(16)} 0x${bytes.length.toString(16)} 0x${hexOf(bytes)}`);
  }

  async readMemory(address: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    const answer = await this.command(`read 0x${address.toString(16)} 0x${length.toString(16)}`);
    const bytes = Uint8Array.from(answer.slice(2).match(/../g) ?? [], (digits) => parseInt(digits, 16));
    if (bytes.length !== length) throw notUnderstood('read', answer);
    return bytes;
  }

  /** Text from QEMU, in pieces of any size. */
  receive(text: string): void {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) this.#receiveLine(line.trimEnd());
  }

  /** Ends all commands, present and future, with `error`. */
  fail(error: Error): void {
    this.#failure ??= error;
    for (const { reject } of this.#waiting.splice(0)) reject(this.#failure);
  }

  #receiveLine(line: string): void {
    const irq = IRQ.exec(line);
    if (irq !== null) {
      this.#onLine(Number(irq[2]), irq[1] === 'raise');
      return;
    }
    const waiting = this.#waiting.shift();
    if (waiting === undefined) return;
    if (line === 'OK' || line.startsWith('OK ')) waiting.resolve(line.slice(3));
    else waiting.reject(notUnderstood(waiting.command, line));
  }
}

function notUnderstood(command: string, answer: string): UpcallError {
  const name = command.split(' ', 1)[0] ?? '';
  return new UpcallError('TOOL_FAILED', `QEMU answered its qtest command ${name} with: ${answer.slice(0, 100)}`, {
    remedy: 'Use QEMU 5.0 or newer',
  });
}

function hexOf(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += byte.toString(16).padStart(2, '0');
  return text;
}
