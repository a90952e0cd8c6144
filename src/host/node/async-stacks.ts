/**
 * Records where asynchronous work begins, by `node:async_hooks`. A promise that does not settle has
 * no stack of its own. The stack of its creation shows an operator what a late device waits for.
 * The hook makes every promise of the process slower, until `close`.
 *
 * Called by: node-host.ts, as `Host.recordAsyncStacks`.
 */

import { AsyncLocalStorage, createHook } from 'node:async_hooks';
import type { AsyncOrigin, AsyncStacks } from '../host.js';

export function recordAsyncStacks(): AsyncStacks {
  const listeners = new AsyncLocalStorage<(origin: AsyncOrigin) => void>();
  const init = (): void => {
    const onBegin = listeners.getStore();
    if (onBegin === undefined) return;
    const origin: AsyncOrigin = {};
    Error.captureStackTrace(origin, init);
    onBegin(origin);
  };
  const hook = createHook({ init }).enable();
  return {
    run: (onBegin, callback) => listeners.run(onBegin, callback),
    close: () => void hook.disable(),
  };
}
