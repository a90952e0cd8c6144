/**
 * PropertyNames: default names of shared words. A word is named by the property of the model's
 * shared object in which its buffer lies.
 *
 * Called by: ExploredWorld, if the model has no `naming`.
 */

import { SharedMemory, SharedView } from './machine/shared-memory.js';
import type { WordNaming } from './model.js';

export class PropertyNames implements WordNaming {
  /** By buffer: the path of properties, and the first word that has it. */
  readonly #paths = new Map<number, { readonly path: string; readonly first: number }[]>();

  constructor(shared: unknown) {
    this.#walk(shared, '', new Set());
  }

  name(buffer: number, index: number): string {
    const paths = this.#paths.get(buffer) ?? [];
    // The view that begins last before the word. No view's length is looked at.
    const best = paths.filter(({ first }) => first <= index).sort((one, other) => other.first - one.first)[0];
    return best === undefined ? `memory ${buffer}[${index}]` : `${best.path}[${index - best.first}]`;
  }

  value(_buffer: number, _index: number, value: number): string {
    return String(value);
  }

  /** No word is left out of a table that is not complete. */
  isMinor(): boolean {
    return false;
  }

  #walk(value: unknown, path: string, seen: Set<object>): void {
    if (typeof value !== 'object' || value === null || seen.has(value)) return;
    seen.add(value);
    if (value instanceof SharedMemory) this.#add(value.id, path, 0);
    else if (value instanceof SharedView) this.#add(value.buffer.id, path, value.offset);
    else
      for (const [key, part] of Object.entries(value)) {
        // Rewritten private fields: `$p_x` was `#x` (code/lowered-module.ts).
        const own = /^\d+$/.test(key) ? `[${key}]` : key.replace(/^\$p_/, '#');
        this.#walk(part, path === '' || own.startsWith('[') ? `${path}${own}` : `${path}.${own}`, seen);
      }
  }

  #add(buffer: number, path: string, first: number): void {
    const paths = this.#paths.get(buffer) ?? [];
    paths.push({ path: path === '' ? 'shared' : path, first });
    this.#paths.set(buffer, paths);
  }
}
