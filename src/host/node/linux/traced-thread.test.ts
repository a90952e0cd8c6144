import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Libc, NativeFunction, Pointer } from './libc.js';
import { InjectionError, TracedThread } from './traced-thread.js';

const THREAD = 7;
const SIGTRAP = 5;
const SIGSTOP = 19;
const SYSCALL_STOP = SIGTRAP | 0x80;
/** Of PTRACE_INTERRUPT. */
const INTERRUPT_STOP = 0x8000 | SIGTRAP;
const PTRACE_DETACH = 17;

/** A system in which thread 7 stops for these reasons, the last one again and again. */
function systemWith(stops: number[]): { libc: Libc; requests: (readonly [request: number, data: unknown])[] } {
  const requests: (readonly [request: number, data: unknown])[] = [];
  const functions: Record<string, NativeFunction> = {
    ptrace: (request, _thread, _address, data) => {
      requests.push([Number(request), data]);
      return 0;
    },
    waitid: (_type, _thread, info) => {
      const view = new DataView((info as Exclude<Pointer, bigint | null>).buffer);
      view.setInt32(16, THREAD, true);
      view.setInt32(24, (stops.length > 1 ? stops.shift() : stops[0]) ?? 0, true);
      return 0;
    },
    usleep: () => 0,
  };
  const func = (declaration: string): NativeFunction =>
    functions[/(\w+)\(/.exec(declaration)?.[1] ?? ''] as NativeFunction;
  const others = { errno: () => 0, address: () => 0n };
  return { libc: { func, ...others } as unknown as Libc, requests };
}

test('a signal that comes before or between the two stops of a call is delivered at the end', () => {
  const { libc, requests } = systemWith([INTERRUPT_STOP, SIGSTOP, SYSCALL_STOP, INTERRUPT_STOP, SYSCALL_STOP]);
  const thread = new TracedThread(THREAD, undefined, libc);
  assert.equal(thread.execute(0n, [1]), 0n);
  thread.detach();
  assert.deepEqual(requests.at(-1), [PTRACE_DETACH, BigInt(SIGSTOP)]);
});

test('a thread that is stopped by job control is not stopped once more by its tracer', () => {
  const { libc, requests } = systemWith([0x8000 | SIGSTOP, SYSCALL_STOP]);
  const thread = new TracedThread(THREAD, undefined, libc);
  assert.equal(thread.execute(0n, [1]), 0n);
  thread.detach();
  assert.deepEqual(requests.at(-1), [PTRACE_DETACH, 0n]);
});

test('a thread that its program stops again and again is given up', () => {
  const { libc } = systemWith([INTERRUPT_STOP, SIGSTOP]);
  const thread = new TracedThread(THREAD, undefined, libc);
  assert.throws(() => thread.execute(0n, [1]), InjectionError);
});
