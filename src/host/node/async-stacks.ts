/**
 * Where asynchronous work begins, by `node:async_hooks`. A promise that does not settle has no
 * stack, but it was created somewhere. The hook makes every promise of the process slower, until
 * `close`.
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
