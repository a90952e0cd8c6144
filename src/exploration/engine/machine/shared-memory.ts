/**
 * Stand-ins for SharedArrayBuffer, Int32Array and Atomics in rewritten code.
 *
 * A buffer is only a number here. Its words belong to the search (search/state-space.ts), and each
 * operation on them stops the thread until the search gives the result.
 *
 * Called by: simulated-globals.ts, which gives them to rewritten code in place of the globals;
 * Runtime, for plain accesses; ThreadLife, which numbers the buffers; those who name or hash them.
 */

import { NOT_ASYNC, OperationKind, WaitResult, WAKE_ALL, wordOperation, type Operation } from './operation.js';

/** A generator that yields operations and gets their results. Running it to its end is a call. */
export type Suspendable<T> = Generator<Operation, T, number>;

/** A SharedArrayBuffer. Its number names it in operations. */
export class SharedMemory {
  readonly id: number;
  readonly byteLength: number;

  constructor(id: number, byteLength: number) {
    this.id = id;
    this.byteLength = byteLength;
  }
}

/** An Int32Array over a SharedMemory. */
export class SharedView {
  readonly buffer: SharedMemory;
  /** Index of its first word in the buffer. */
  readonly offset: number;
  /** Words. */
  readonly length: number;

  constructor(buffer: SharedMemory, byteOffset = 0, length = (buffer.byteLength - byteOffset) >> 2) {
    this.buffer = buffer;
    this.offset = byteOffset >> 2;
    this.length = length;
  }
}

/**
 * A Float64Array over shared memory: statistics. No thread acts on them, so they are not part of a
 * state. The field makes its type differ from Float64Array in TypeScript.
 */
export class Unwatched extends Float64Array {
  readonly isUnwatched = true;
}

/** `new Int32Array(…)`: a view of shared memory, or a real array over anything else. */
export function int32Array(source?: unknown, byteOffset?: number, length?: number): object {
  if (source instanceof SharedMemory) return new SharedView(source, byteOffset, length);
  return Reflect.construct(Int32Array, source === undefined ? [] : [source, byteOffset, length]) as object;
}

/** `new Float64Array(…)`. Over shared memory each view has values of its own: see Unwatched. */
export function float64Array(source?: unknown, byteOffset?: number, length?: number): object {
  if (source instanceof SharedMemory) return new Unwatched(length ?? source.byteLength >> 3);
  return Reflect.construct(Float64Array, source === undefined ? [] : [source, byteOffset, length]) as object;
}

/**
 * An operation of Atomics. `value` and `other` as in Operation: for compareExchange old and new.
 */
type Access = (view: SharedView, index: number, value?: number, other?: number) => Suspendable<number>;

function access(kind: OperationKind): Access {
  return function* (view, index, value = 0, other = 0) {
    return yield wordOperation(kind, view.buffer.id, view.offset + index, value | 0, other | 0);
  };
}

/** A plain read: `view[index]`. `isRelaxed`: see Operation. */
export function* readWord(view: SharedView, index: number, isRelaxed: boolean): Suspendable<number> {
  return yield wordOperation(OperationKind.READ, view.buffer.id, view.offset + index, 0, 0, isRelaxed);
}

/** A plain write: `view[index] = value`. */
export function* writeWord(view: SharedView, index: number, value: number, isRelaxed: boolean): Suspendable<number> {
  return yield wordOperation(OperationKind.WRITE, view.buffer.id, view.offset + index, value | 0, 0, isRelaxed);
}

/**
 * `onWait` makes the promise of an asynchronous wait. A timeout stays a number of milliseconds,
 * which may be Infinity. Operations that are missing, such as xor, end in a TypeError.
 */
export function simulatedAtomics(onWait: (wait: number) => object): Record<string, unknown> {
  return {
    load: access(OperationKind.LOAD),
    store: access(OperationKind.STORE),
    add: access(OperationKind.ADD),
    *sub(view: SharedView, index: number, value: number): Suspendable<number> {
      return yield* access(OperationKind.ADD)(view, index, -value);
    },
    or: access(OperationKind.OR),
    and: access(OperationKind.AND),
    exchange: access(OperationKind.EXCHANGE),
    compareExchange: access(OperationKind.COMPARE_EXCHANGE),
    *notify(view: SharedView, index: number, count = Infinity): Suspendable<number> {
      const limit = count < 1 ? 0 : Math.min(count, WAKE_ALL);
      return yield wordOperation(OperationKind.NOTIFY, view.buffer.id, view.offset + index, limit);
    },
    *wait(view: SharedView, index: number, value: number, timeoutMs = Infinity): Suspendable<string> {
      const { id } = view.buffer;
      const result = yield wordOperation(OperationKind.WAIT, id, view.offset + index, value, timeoutMs);
      return result === WaitResult.OK ? 'ok' : result === WaitResult.NOT_EQUAL ? 'not-equal' : 'timed-out';
    },
    *waitAsync(view: SharedView, index: number, value: number, timeoutMs = Infinity): Suspendable<object> {
      const { id } = view.buffer;
      const result = yield wordOperation(OperationKind.WAIT_ASYNC, id, view.offset + index, value, timeoutMs);
      return result === NOT_ASYNC ? { async: false, value: 'not-equal' } : { async: true, value: onWait(result) };
    },
  };
}
