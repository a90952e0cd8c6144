/**
 * ThreadPlacement: which device is to run in a thread of its own. `UserVm.attach` takes one in
 * place of a device, and makes a ThreadClient (in-own-thread.ts) of it, which starts the thread.
 *
 * Called by: operators' programs and the command line, which call `inOwnThread`.
 */

import type { ReloadObserver } from '../reload/reload-observer.js';

/** A device to be created in its own thread. */
export interface ThreadPlacement {
  readonly kind: 'own-thread';
  /** A file URL. */
  readonly module: string;
  /** Passed to the device when it is created. */
  readonly options: unknown;
  /** The module may be loaded anew. Default: it is loaded once. */
  readonly reloads?: ReloadObserver;
}

/**
 * `module` is a `URL` object with a file URL. The module exports, as `default` or as
 * `createDevice`, a class or a function, which is called with a DeviceContext and `options`
 * (device-module.ts). `options` must survive structured cloning.
 */
export function inOwnThread(module: { readonly href: string }, options?: unknown): ThreadPlacement {
  return { kind: 'own-thread', module: module.href, options };
}

export function isThreadPlacement(value: object): value is ThreadPlacement {
  return 'kind' in value && value.kind === 'own-thread';
}
