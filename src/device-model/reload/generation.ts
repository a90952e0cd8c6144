/**
 * Generation: one load of a reloaded device or card, with the gate through which it acts on its
 * machine. Reloadable: the device that stays attached, and passes accesses on to the current
 * generation.
 *
 * Called by: ReloadableDevice and ReloadableCard, which are Reloadables; DeviceReloader, which
 * exchanges generations.
 */

import type { Stateful } from './carry-state.js';
import type { Gate } from './gate.js';
import type { OpenAccesses } from './open-accesses.js';

/** What a device and a card have in common. */
export interface Reloaded extends Stateful {
  close?(): void | Promise<void>;
}

export interface Generation<T extends Reloaded> {
  readonly device: T;
  readonly gate: Gate;
}

export interface Reloadable<T extends Reloaded> {
  readonly current: Generation<T>;
  /** The accesses of any generation whose promises are open. */
  readonly accesses: OpenAccesses;
  /** Why `next` cannot replace the current device, a sentence part. Undefined: it can. */
  refusal(next: T): string | undefined;
  /** Connects a generation that is not the current one yet. Throws what the device throws. */
  connectNext(next: Generation<T>): void;
  /** From now on accesses go to `next`. The caller opens its gate. */
  exchange(next: Generation<T>): void;
}
