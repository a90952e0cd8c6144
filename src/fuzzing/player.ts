/**
 * Player: plays inputs on one target and says of each what was wrong with it, also what was thrown
 * where nobody waits for it. After a finding the target is opened anew: it may be in any state.
 */

import { errorText } from '../io-request/error-text.js';
import type { FuzzTarget, OpenTarget } from './fuzz-target.js';
import { shrink } from './shrink.js';

export class Player {
  readonly #target: FuzzTarget;
  readonly #playing: ((input: Uint8Array) => void) | undefined;
  #open: OpenTarget | undefined;
  /** Thrown outside of any call. */
  #stray: string | undefined;
  readonly #hear = (error: unknown): void => {
    this.#stray ??= `nobody caught: ${describe(error)}`;
  };

  constructor(target: FuzzTarget, playing?: (input: Uint8Array) => void) {
    this.#target = target;
    this.#playing = playing;
    process.on('uncaughtException', this.#hear);
    process.on('unhandledRejection', this.#hear);
  }

  /** What was wrong, or undefined. */
  async play(input: Uint8Array): Promise<string | undefined> {
    this.#playing?.(input);
    let message: string | undefined;
    try {
      this.#open ??= await this.#target.open();
      await this.#open.run(input);
    } catch (error) {
      message = describe(error);
    }
    message ??= this.#stray;
    if (message !== undefined) await this.#forget();
    return message;
  }

  /** A smaller input with which something is wrong as well. */
  shrink(input: Uint8Array): Promise<Uint8Array> {
    return shrink(input, async (candidate) => (await this.play(candidate)) !== undefined);
  }

  /** What was wrong at the end, or undefined. */
  async close(): Promise<string | undefined> {
    let message: string | undefined;
    try {
      await this.#open?.close();
      // Rejections are told a turn later.
      await new Promise((resolve) => setImmediate(resolve));
    } catch (error) {
      message = describe(error);
    }
    process.off('uncaughtException', this.#hear);
    process.off('unhandledRejection', this.#hear);
    return message ?? this.#stray;
  }

  async #forget(): Promise<void> {
    const open = this.#open;
    this.#open = undefined;
    try {
      await open?.close();
    } catch {
      // It was wrong already.
    }
    this.#stray = undefined;
  }
}

function describe(error: unknown): string {
  const { message, stack } = errorText(error);
  return stack ?? message;
}
