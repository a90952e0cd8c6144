/**
 * PostPort: port 0x80, where firmware writes a code for each step of its power-on self test. The
 * last code shows how far a guest came before it stopped.
 *
 * Called by: DeviceClient, for the guest; programs (StandardPc.postPort), for `code` and `history`.
 *
 * Older drivers write to it for its delay of about a microsecond (Linux: `io_delay=0x80`). On a PC
 * the port is a scratch register of the DMA page chip (82C206), so it can be read back.
 */

import { SavedState } from '../../io-request/saved-state.js';
import { allOnes } from '../device.js';
import type { AccessSize, Device } from '../device.js';
import type { RegisterMap } from '../register-map.js';

/** Limit of the codes in the history, a ring: a guest may write millions of them. */
export const POST_HISTORY_LIMIT = 64;

export const POST_PORT_REGISTERS: RegisterMap = {
  source: 'IBM PC AT Technical Reference, I/O address map (0x80: diagnostic checkpoint)',
  registers: [{ offset: 0, size: 1, name: 'POST', access: 'rw', meaning: 'code of the last step' }],
};

export interface PostPortOptions {
  /** Called with each code, inside the guest's access: it must return soon. */
  readonly onCode?: (code: number) => void;
}

export class PostPort implements Device {
  readonly name = 'post-port';
  readonly registers = POST_PORT_REGISTERS;
  readonly #onCode: ((code: number) => void) | undefined;
  readonly #ring = new Uint8Array(POST_HISTORY_LIMIT);
  /** Codes since the last reset. The ring holds the last ones. */
  #count = 0;

  constructor(options: PostPortOptions = {}) {
    this.#onCode = options.onCode;
  }

  /** The last code. Undefined if the guest wrote none since the reset. */
  get code(): number | undefined {
    return this.#count === 0 ? undefined : this.#ring[(this.#count - 1) % POST_HISTORY_LIMIT];
  }

  /** The last codes, oldest first. */
  get history(): readonly number[] {
    const length = Math.min(this.#count, POST_HISTORY_LIMIT);
    return Array.from({ length }, (_, i) => this.#ring[(this.#count - length + i) % POST_HISTORY_LIMIT] ?? 0);
  }

  /** Reading has no side effect here. */
  peek(offset: number, size: AccessSize): number {
    return this.read(offset, size);
  }

  read(offset: number, size: AccessSize): number {
    if (offset !== 0) return allOnes(size);
    // Ports 0x81 and up belong to other devices: their bytes read as all ones.
    return ((allOnes(size) & ~0xff) | (this.code ?? 0)) >>> 0;
  }

  write(offset: number, _size: AccessSize, value: number): void {
    if (offset !== 0) return;
    const code = value & 0xff;
    this.#ring[this.#count % POST_HISTORY_LIMIT] = code;
    this.#count++;
    this.#onCode?.(code);
  }

  save(): unknown {
    return { history: this.history };
  }

  restore(state: unknown): void {
    const history = new SavedState(this.name, state).integersUpTo('history', POST_HISTORY_LIMIT, 0, 0xff);
    this.#ring.set(history);
    this.#count = history.length;
  }

  reset(): void {
    this.#count = 0;
  }
}
