/**
 * Player: plays inputs on one target and returns each finding: an error of the target, or one that
 * was not caught anywhere. After a finding it opens the target anew, because the old one may be in
 * any state.
 *
 * Called by: campaigns (campaign.ts).
 * Callers must: close it. Until then it takes all uncaught errors of the process.
 */

import { errorText } from '../io-request/error-text.js';
import type { FuzzTarget, OpenTarget } from './fuzz-target.js';
import { shrink } from './shrink.js';

export class Player {
  readonly #target: FuzzTarget;
  readonly #playing: ((input: Uint8Array) => void) | undefined;
  #open: OpenTarget | undefined;
  /** First uncaught error since the target was opened. */
  #uncaught: string | undefined;
  readonly #onUncaught = (error: unknown): void => {
    this.#uncaught ??= `uncaught: ${describe(error)}`;
  };

  /** `playing` is called with each input before it is played. */
  constructor(target: FuzzTarget, playing?: (input: Uint8Array) => void) {
    this.#target = target;
    this.#playing = playing;
    process.on('uncaughtException', this.#onUncaught);
    process.on('unhandledRejection', this.#onUncaught);
  }

  /** Plays one input. Returns the finding's message, or undefined. Opens the target if needed. */
  async play(input: Uint8Array): Promise<string | undefined> {
    this.#playing?.(input);
    let message: string | undefined;
    try {
      this.#open ??= await this.#target.open();
      await this.#open.run(input);
    } catch (error) {
      message = describe(error);
    }
    // An unhandled rejection is reported a turn later: then it is the finding of a later input.
    message ??= this.#uncaught;
    if (message !== undefined) await this.#discard();
    return message;
  }

  /** Returns a smaller input that also has a finding. */
  shrink(input: Uint8Array): Promise<Uint8Array> {
    return shrink(input, async (candidate) => (await this.play(candidate)) !== undefined);
  }

  /** Returns the message of a finding at the end, or undefined. */
  async close(): Promise<string | undefined> {
    let message: string | undefined;
    try {
      await this.#open?.close();
      // Unhandled rejections are reported one turn later.
      await new Promise((resolve) => setImmediate(resolve));
    } catch (error) {
      message = describe(error);
    }
    process.off('uncaughtException', this.#onUncaught);
    process.off('unhandledRejection', this.#onUncaught);
    return message ?? this.#uncaught;
  }

  /** Closes the target after a finding. The next input opens it anew. */
  async #discard(): Promise<void> {
    const open = this.#open;
    this.#open = undefined;
    try {
      await open?.close();
    } catch {
      // There is a finding already.
    }
    this.#uncaught = undefined;
  }
}

function describe(error: unknown): string {
  const { message, stack } = errorText(error);
  return stack ?? message;
}
