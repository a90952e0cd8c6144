/**
 * ThreadPlacement: the wish for a device in a thread of its own. `attach` makes a ThreadClient
 * (in-own-thread.ts) of it.
 *
 * Called by: operators' programs and the command line.
 */

/** A device to be created in its own thread. */
export interface ThreadPlacement {
  readonly kind: 'own-thread';
  /** A file URL. */
  readonly module: string;
  readonly options: unknown;
}

/**
 * `module` is a `URL` object with a file URL. `options` goes to the device and must survive
 * structured cloning.
 */
export function inOwnThread(module: { readonly href: string }, options?: unknown): ThreadPlacement {
  return { kind: 'own-thread', module: module.href, options };
}

export function isThreadPlacement(value: object): value is ThreadPlacement {
  return 'kind' in value && value.kind === 'own-thread';
}
