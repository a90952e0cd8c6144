/**
 * Libc: the functions of the C library that this folder calls. The optional package koffi, a
 * foreign function interface, makes the calls. No other product file loads it.
 *
 * Called by: the other files of this folder, and acrn-programs/.
 *
 * Sources: the manual pages of the functions.
 */

import { createRequire } from 'node:module';

/** A pointer is an address, or bytes that stay where they are during the call. */
export type Pointer = bigint | NodeJS.TypedArray | null;
export type NativeFunction = (...args: readonly (number | string | Pointer)[]) => number | bigint;

/** A function whose calls are made by a thread of Node's pool. */
export type AsyncNativeFunction = (...args: readonly (number | string | Pointer)[]) => Promise<number | bigint>;

interface KoffiFunction extends NativeFunction {
  async(...args: readonly unknown[]): void;
}

interface PollOptions {
  readonly readable: boolean;
}

/** `status`: 0, or −errno. */
type PollCallback = (status: number) => void;

interface KoffiPollHandle extends PollHandle {
  start(options: PollOptions, callback: PollCallback): void;
  unref(): void;
}

/** The part of koffi that is used. The package is optional, and so are its types. */
interface Koffi {
  load(library: string): { func(declaration: string): KoffiFunction; symbol(name: string): unknown };
  address(pointer: unknown): bigint | number;
  errno(): number;
  readonly node: {
    poll(fd: number, options: PollOptions, callback: PollCallback): KoffiPollHandle;
  };
}

/** Callers must keep it: a handle that is collected polls no more. */
export interface PollHandle {
  close(): void;
}

export interface Libc {
  /** The function of a C declaration. Its calls block this thread. */
  func(declaration: string): NativeFunction;
  /** The same, without blocking this thread. Rejects if the arguments are invalid. */
  asyncFunc(declaration: string): AsyncNativeFunction;
  /** `errno` of the last `func`. That of an `asyncFunc` is lost: another thread calls it. */
  errno(): number;
  /** The address of the bytes. They stay there as long as their buffer is reachable. */
  address(bytes: NodeJS.TypedArray): bigint;
  /** The address of a function, for a structure that holds one. Throws if it does not exist. */
  symbol(name: string): bigint;
  /** Calls back on the event loop while `fd` is readable, has an error, or is at its end. */
  poll(fd: number, onReadable: () => void, options?: { readonly keepsAlive?: boolean }): PollHandle;
}

let loaded: Libc | undefined;

/** Returns undefined if this is not Linux or koffi cannot be loaded. */
export function loadLibc(): Libc | undefined {
  if (loaded !== undefined || process.platform !== 'linux') return loaded;
  try {
    loaded = bind(createRequire(import.meta.url)('koffi') as Koffi);
  } catch {
    return undefined;
  }
  return loaded;
}

/** As `loadLibc`. Throws where that returns undefined. */
export function requireLibc(): Libc {
  const libc = loadLibc();
  if (libc === undefined) throw new Error('koffi is not installed, or this is not Linux');
  return libc;
}

function bind(koffi: Koffi): Libc {
  const library = koffi.load('libc.so.6');
  const functions = new Map<string, KoffiFunction>();
  /** Parsing a declaration takes long, so each is kept. */
  const func = (declaration: string): KoffiFunction => {
    let one = functions.get(declaration);
    if (one === undefined) functions.set(declaration, (one = library.func(declaration)));
    return one;
  };
  return {
    func,
    asyncFunc:
      (declaration) =>
      (...args) =>
        new Promise((resolve, reject) => {
          func(declaration).async(...args, (error: Error | null, result: number | bigint) => {
            if (error === null) resolve(result);
            else reject(error);
          });
        }),
    errno: () => koffi.errno(),
    address: (bytes) => BigInt(koffi.address(bytes)),
    symbol: (name) => BigInt(koffi.address(library.symbol(name))),
    poll: (fd, onReadable, { keepsAlive = false } = {}) => {
      const options = { readable: true };
      const called = (status: number): void => {
        // At POLLERR libuv stops polling. A socket has it if its peer closes with unread bytes,
        // while what the peer has sent, and the end, are still to be received.
        if (status < 0) handle.start(options, called);
        onReadable();
      };
      const handle = koffi.node.poll(fd, options, called);
      if (!keepsAlive) handle.unref();
      return handle;
    },
  };
}
