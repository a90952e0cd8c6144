/**
 * ScriptWords: the words of one line of a conformance script, each checked. The methods throw
 * OPTION_INVALID, with the line and the reason, for a word that is missing or invalid.
 *
 * Called by: the commands, which take word after word.
 */

import { UpcallError } from '../io-request/upcall-error.js';

const U64 = 64;

export class ScriptWords {
  readonly #line: string;
  readonly #words: readonly string[];
  #at = 0;

  constructor(line: string) {
    // A comment begins with #. Scripts may have the minus sign of a text instead of a hyphen.
    this.#line = line.replace(/#.*/, '').replaceAll('−', '-').trim();
    this.#words = this.#line === '' ? [] : this.#line.split(/\s+/);
  }

  get hasMore(): boolean {
    return this.#at < this.#words.length;
  }

  /** The next word, which is not taken. */
  get next(): string | undefined {
    return this.#words[this.#at];
  }

  /** Takes the next word. `what` names it in the message if it is missing. */
  word(what: string): string {
    const word = this.#words[this.#at];
    if (word === undefined) throw this.error(`it lacks ${what}`);
    this.#at++;
    return word;
  }

  /** A number in decimal or, with 0x, in hexadecimal, as a u64. */
  u64(what: string): bigint {
    const word = this.word(what);
    if (!/^(0x[0-9a-f]+|\d+)$/i.test(word)) throw this.error(`"${word}" is not a number (${what})`);
    const value = BigInt(word);
    if (BigInt.asUintN(U64, value) !== value) throw this.error(`${word} has more than 64 bits (${what})`);
    return value;
  }

  /** An integer from `least` to `most`. */
  integer(what: string, least: number, most: number): number {
    const word = this.word(what);
    const value = /^-?(0x[0-9a-f]+|\d+)$/i.test(word)
      ? Number(word.replace('-', '')) * (word.startsWith('-') ? -1 : 1)
      : NaN;
    if (!(value >= least && value <= most)) throw this.error(`"${word}" is not from ${least} to ${most} (${what})`);
    return value;
  }

  oneOf<Choice extends string>(what: string, choices: readonly Choice[]): Choice {
    const word = this.word(what);
    const found = choices.find((choice) => choice === word);
    if (found === undefined) throw this.error(`"${word}" is not ${choices.join(' or ')} (${what})`);
    return found;
  }

  /** Throws if words are left after the last one of the command. */
  end(): void {
    if (this.hasMore) throw this.error(`"${String(this.#words[this.#at])}" is too much`);
  }

  /** Returns the error for this line. The caller throws it. */
  error(problem: string): UpcallError {
    return new UpcallError('OPTION_INVALID', `"${this.#line}": ${problem}`, {
      remedy: 'The commands are in conformance/README.md',
    });
  }
}
