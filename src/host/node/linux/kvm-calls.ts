/**
 * LinuxKvmCalls: KVM's system calls, and the signal that makes a thread leave KVM_RUN.
 *
 * Called by: node-host.ts, as `Host.openKvm`.
 *
 * The signal's handler is a function of the C library that takes no notice of its argument and may
 * be called at any time (getpid). A handler in JavaScript would enter the engine in the middle of
 * whatever it does. Without a handler the signal would end the process.
 *
 * All functions are declared at the beginning: koffi aborts the process if Node ends the thread
 * while it declares one, and a thread in a guest can be ended at any time. Calls do no harm.
 *
 * A SharedArrayBuffer of WebAssembly begins at a page and is never moved, so the kernel may keep
 * its address, and the file of a vCPU may be mapped over it.
 *
 * Sources: ioctl(2), mmap(2), sigaction(2), tgkill(2), timer_create(2); the kernel's "The
 * Definitive KVM API Documentation".
 */

import { release } from 'node:os';
import type { KvmCalls, KvmRegion, KvmTicks } from '../../kvm-calls.js';
import { errnoName } from './errno-name.js';
import { loadLibc, type Libc, type NativeFunction } from './libc.js';
import { MemoryFiles } from './memory-files.js';

const PAGE = 4096;
/** Of a WebAssembly.Memory, its smallest unit. */
const MEMORY_PAGE = 0x1_0000;

// Flags by the names of the manual pages.
const O_RDWR = 2;
const O_CLOEXEC = 0o200_0000;
const F_DUPFD_CLOEXEC = 1030;
const PROT_READ = 1;
const PROT_WRITE = 2;
const MAP_SHARED = 1;
const MAP_PRIVATE = 2;
const MAP_FIXED = 0x10;
const MAP_ANONYMOUS = 0x20;
const SA_RESTART = 0x1000_0000;
const CLOCK_MONOTONIC = 1;
const SIGEV_THREAD_ID = 4;

/** SIGRTMIN + 1. The C library uses none of the signals from SIGRTMIN on. */
const SIGNAL = 35;
/** struct sigaction of the C library: the handler, 128 bytes of mask, flags, restorer. */
const ACTION_BYTES = 152;
const ACTION_FLAGS = 136;
/** struct sigevent: a value, the signal, the kind of notification, the thread. */
const EVENT_BYTES = 64;
const EVENT_SIGNAL = 8;
const EVENT_KIND = 12;
const EVENT_THREAD = 16;
// Numbers of system calls on x86-64. Older C libraries have these functions elsewhere.
const TIMER_CREATE = 222;
const TIMER_SETTIME = 223;
const TIMER_DELETE = 226;

const KVM_SET_USER_MEMORY_REGION = 0x4020_ae46;
/** struct kvm_userspace_memory_region: slot, flags, guest address, bytes, address. */
const REGION_BYTES = 32;
const KVM_MEM_LOG_DIRTY_PAGES = 1;
const KVM_GET_DIRTY_LOG = 0x4010_ae42;
/** struct kvm_dirty_log: slot, padding, address of the bitmap. */
const LOG_BYTES = 16;
/** The kernel writes words of the bitmap. One has as many pages. */
const WORD_PAGES = 64;

/** Returns undefined if this is not Linux or koffi is not installed. */
export function openKvm(): KvmCalls | undefined {
  const libc = loadLibc();
  return libc === undefined ? undefined : new LinuxKvmCalls(libc);
}

class LinuxKvmCalls implements KvmCalls {
  readonly isX86 = process.arch === 'x64';
  readonly release = release();
  readonly #libc: Libc;
  readonly #files: MemoryFiles;
  readonly #open: NativeFunction;
  readonly #byValue: NativeFunction;
  readonly #byAddress: NativeFunction;
  readonly #control: NativeFunction;
  readonly #close: NativeFunction;
  readonly #map: NativeFunction;
  readonly #thread: NativeFunction;
  readonly #interrupt: NativeFunction;
  readonly #createTimer: NativeFunction;
  readonly #setTimer: NativeFunction;
  readonly #deleteTimer: NativeFunction;
  readonly #setAction: NativeFunction;
  /** The address of the signal's handler. */
  readonly #handler: bigint;
  #hasHandler = false;

  constructor(libc: Libc) {
    this.#libc = libc;
    this.#files = new MemoryFiles(libc);
    this.#open = libc.func('int open(const char *path, int flags)');
    this.#byValue = libc.func('int ioctl(int fd, ulong request, ulong argument)');
    this.#byAddress = libc.func('int ioctl(int fd, ulong request, _Inout_ uint8_t *argument)');
    this.#control = libc.func('int fcntl(int fd, int command, int argument)');
    this.#close = libc.func('int close(int fd)');
    this.#map = libc.func('int64_t mmap(int64_t a, size_t n, int protection, int flags, int fd, int64_t offset)');
    this.#thread = libc.func('int gettid()');
    this.#interrupt = libc.func('int tgkill(int process, int thread, int signal)');
    this.#createTimer = libc.func('int64_t syscall(int64_t number, int64_t clock, uint8_t *event, _Out_ int *timer)');
    this.#setTimer = libc.func(
      'int64_t syscall(int64_t number, int64_t timer, int64_t flags, uint8_t *times, void *old)',
    );
    this.#deleteTimer = libc.func('int64_t syscall(int64_t number, int64_t timer)');
    this.#setAction = libc.func('int sigaction(int signal, const uint8_t *action, void *old)');
    this.#handler = libc.symbol('getpid');
  }

  open(): number {
    return this.#result(this.#open('/dev/kvm', O_RDWR | O_CLOEXEC));
  }

  ioctl(descriptor: number, request: number, argument: number | Uint8Array): number {
    const call = typeof argument === 'number' ? this.#byValue : this.#byAddress;
    return this.#result(call(descriptor, request, argument));
  }

  close(descriptor: number): void {
    this.#close(descriptor);
  }

  duplicate(descriptor: number): number {
    return this.#result(this.#control(descriptor, F_DUPFD_CLOEXEC, 0));
  }

  allocate(bytes: number): SharedArrayBuffer {
    const pages = Math.ceil(bytes / MEMORY_PAGE);
    const { buffer } = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
    return buffer as unknown as SharedArrayBuffer;
  }

  setRegion(vm: number, { slot, guestAddress, memory, offset, bytes, logsWrites = false }: KvmRegion): number {
    if (offset < 0 || bytes < 0 || offset + bytes > memory.byteLength)
      throw new RangeError(`region ${slot}: ${bytes} bytes at ${offset} of ${memory.byteLength}`);
    const region = new DataView(new ArrayBuffer(REGION_BYTES));
    region.setUint32(0, slot, true);
    region.setUint32(4, logsWrites ? KVM_MEM_LOG_DIRTY_PAGES : 0, true);
    region.setBigUint64(8, BigInt(guestAddress), true);
    region.setBigUint64(16, BigInt(bytes), true);
    region.setBigUint64(24, this.#addressOf(memory) + BigInt(offset), true);
    return this.ioctl(vm, KVM_SET_USER_MEMORY_REGION, new Uint8Array(region.buffer));
  }

  takeLog(vm: number, { slot, bytes }: KvmRegion): Uint8Array<ArrayBuffer> {
    const bitmap = new Uint8Array((Math.ceil(bytes / PAGE / WORD_PAGES) * WORD_PAGES) / 8);
    const log = new DataView(new ArrayBuffer(LOG_BYTES));
    log.setUint32(0, slot, true);
    log.setBigUint64(8, this.#libc.address(bitmap), true);
    if (this.ioctl(vm, KVM_GET_DIRTY_LOG, new Uint8Array(log.buffer)) < 0) throw this.#failed('KVM_GET_DIRTY_LOG');
    return bitmap;
  }

  map(descriptor: number, bytes: number): SharedArrayBuffer {
    const memory = this.allocate(bytes);
    this.#mapOver(memory, bytes, MAP_SHARED, descriptor);
    return memory;
  }

  unmap(memory: SharedArrayBuffer, bytes: number): void {
    this.#mapOver(memory, bytes, MAP_PRIVATE | MAP_ANONYMOUS, -1);
  }

  thread(): number {
    return Number(this.#thread());
  }

  interrupt(thread: number): void {
    this.#installHandler();
    this.#interrupt(process.pid, thread, SIGNAL);
  }

  startTicks(ms: number): KvmTicks {
    this.#installHandler();
    const event = new DataView(new ArrayBuffer(EVENT_BYTES));
    event.setInt32(EVENT_SIGNAL, SIGNAL, true);
    event.setInt32(EVENT_KIND, SIGEV_THREAD_ID, true);
    event.setInt32(EVENT_THREAD, this.thread(), true);
    const timer = new Int32Array(1);
    if (Number(this.#createTimer(TIMER_CREATE, CLOCK_MONOTONIC, new Uint8Array(event.buffer), timer)) < 0)
      throw this.#failed('timer_create');
    const id = timer[0] as number;
    // struct itimerspec: the interval, then the time until the first one; seconds, nanoseconds.
    const period = [BigInt(Math.floor(ms / 1000)), BigInt((ms % 1000) * 1_000_000)];
    const times = new Uint8Array(BigInt64Array.from([...period, ...period]).buffer);
    if (Number(this.#setTimer(TIMER_SETTIME, id, 0, times, null)) < 0) throw this.#failed('timer_settime');
    return { stop: () => void this.#deleteTimer(TIMER_DELETE, id) };
  }

  errorName(errno: number): string {
    return errnoName(errno);
  }

  /** One handler for all threads of the process. Installing it again changes nothing. */
  #installHandler(): void {
    if (this.#hasHandler) return;
    const action = new DataView(new ArrayBuffer(ACTION_BYTES));
    action.setBigUint64(0, this.#handler, true);
    // KVM_RUN returns all the same. Other calls of the thread go on.
    action.setInt32(ACTION_FLAGS, SA_RESTART, true);
    if (Number(this.#setAction(SIGNAL, new Uint8Array(action.buffer), null)) !== 0) throw this.#failed('sigaction');
    this.#hasHandler = true;
  }

  #mapOver(memory: SharedArrayBuffer, bytes: number, flags: number, descriptor: number): void {
    if (bytes % PAGE !== 0 || bytes > memory.byteLength)
      throw new RangeError(`${bytes} bytes of ${memory.byteLength} are not whole pages`);
    const address = this.#addressOf(memory);
    const result = this.#map(address, BigInt(bytes), PROT_READ | PROT_WRITE, flags | MAP_FIXED, descriptor, 0n);
    if (BigInt(result) !== address) throw this.#failed('mmap');
  }

  #addressOf(memory: SharedArrayBuffer): bigint {
    const address = this.#files.addressOf(memory);
    if (address % BigInt(PAGE) !== 0n) throw new RangeError('the memory does not begin at a page');
    return address;
  }

  #result(result: number | bigint): number {
    return Number(result) < 0 ? -this.#libc.errno() : Number(result);
  }

  #failed(call: string): Error {
    return new Error(`${call} failed: ${errnoName(this.#libc.errno())}`);
  }
}
