/**
 * spawnProgram: starts a program as a shell would, and reports its end. Node's own child processes
 * do not fit: libuv waits for each of them, and would take the stops of a traced one as ends.
 *
 * Called by: acrn-programs/program-thread.ts, because a program inherits the seccomp filter of the
 * thread that starts it; acrn-programs/started-program.ts awaits its end; cli/program-signals.ts
 * asks for the foreground process group.
 *
 * The program has this process's standard streams, working directory, process group and terminal.
 * Its signals have their defaults, none blocked.
 *
 * Sources: posix_spawn(3), pidfd_open(2), waitpid(2).
 */

import { requireLibc, type Libc } from './libc.js';

const STANDARD_STREAMS = [0, 1, 2];
/** Larger than glibc's posix_spawnattr_t (336) and posix_spawn_file_actions_t (80). */
const ATTRIBUTE_BYTES = 512;
const SIGSET_BYTES = 128;
const SIG_SETMASK = 2;
const POSIX_SPAWN_SETSIGDEF = 4;
const POSIX_SPAWN_SETSIGMASK = 8;
const PIDFD_OPEN = 434;
const WNOHANG = 1;

/** How a program ended: by exit, or by a signal. */
export type ProgramEnd = { readonly status: number } | { readonly signal: number };

/** Returns the process's number, or −errno. `program` is searched in PATH. */
export function spawnProgram(program: string, args: readonly string[], environment: readonly string[]): number {
  const libc = requireLibc();
  const attributes = new Uint8Array(ATTRIBUTE_BYTES);
  libc.func('int posix_spawnattr_init(void *attributes)')(attributes);
  libc.func('int posix_spawnattr_setflags(void *attributes, int16_t flags)')(
    attributes,
    POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK,
  );
  const signals = new Uint8Array(SIGSET_BYTES);
  libc.func('int posix_spawnattr_setsigmask(void *attributes, void *signals)')(attributes, signals);
  libc.func('int sigfillset(void *signals)')(signals);
  libc.func('int posix_spawnattr_setsigdefault(void *attributes, void *signals)')(attributes, signals);
  // Node lets no program inherit descriptors. Copied onto itself, one is inherited.
  const actions = new Uint8Array(ATTRIBUTE_BYTES);
  libc.func('int posix_spawn_file_actions_init(void *actions)')(actions);
  const copy = libc.func('int posix_spawn_file_actions_adddup2(void *actions, int fd, int newFd)');
  for (const fd of STANDARD_STREAMS) copy(actions, fd, fd);
  const argv = strings(libc, [program, ...args]);
  const envp = strings(libc, environment);
  const pid = new Int32Array(1);
  const spawn = libc.func(
    'int posix_spawnp(_Out_ int *pid, const char *file, void *actions, void *attributes, void *argv, void *envp)',
  );
  const error = Number(spawn(pid, program, actions, attributes, argv.pointers, envp.pointers));
  libc.func('int posix_spawn_file_actions_destroy(void *actions)')(actions);
  // The strings were in use until here: this read keeps the collector from them.
  const isAlive = argv.bytes.length > 0 && envp.bytes.length >= 0;
  return error === 0 && isAlive ? (pid[0] as number) : -error;
}

/**
 * Blocks all signals of this thread: the process's other threads handle them. Those of what it
 * starts are not blocked.
 */
export function blockSignals(): void {
  const libc = requireLibc();
  const signals = new Uint8Array(SIGSET_BYTES);
  libc.func('int sigfillset(void *signals)')(signals);
  libc.func('int pthread_sigmask(int how, void *signals, void *before)')(SIG_SETMASK, signals, null);
}

/**
 * Calls `onEnd` once, when the child process `pid` has ended. Throws with errno if there is no such
 * process.
 */
export function awaitEnd(pid: number, onEnd: (end: ProgramEnd) => void): void {
  const libc = requireLibc();
  const fd = openPidFd(pid);
  const handle = libc.poll(
    fd,
    () => {
      const status = new Int32Array(1);
      const waited = libc.func('int waitpid(int thread, _Out_ int *status, int options)')(pid, status, WNOHANG);
      // 0: a tracer has not taken the end yet. The descriptor stays readable.
      if (waited !== pid) return;
      handle.close();
      libc.func('int close(int fd)')(fd);
      const word = status[0] as number;
      // WTERMSIG and WEXITSTATUS.
      onEnd((word & 0x7f) === 0 ? { status: (word >> 8) & 0xff } : { signal: word & 0x7f });
    },
    { keepsAlive: true },
  );
}

/** A descriptor for process `pid`. Throws with errno. */
export function openPidFd(pid: number): number {
  const libc = requireLibc();
  const fd = Number(
    libc.func('int64_t syscall(int64_t number, int64_t a, int64_t b, int64_t c)')(PIDFD_OPEN, pid, 0, 0),
  );
  if (fd < 0) throw new Error(`pidfd_open(2) failed for process ${pid}: errno ${libc.errno()}`);
  return fd;
}

/** A null-terminated array of C strings. `bytes` must stay reachable while it is used. */
function strings(libc: Libc, texts: readonly string[]): { pointers: BigUint64Array; bytes: Uint8Array } {
  const bytes = Buffer.from(texts.map((text) => `${text}\0`).join(''));
  // A copy of its own, whose address stays: Node's small buffers share a pool.
  const copy = Uint8Array.from(bytes);
  const pointers = new BigUint64Array(texts.length + 1);
  let at = libc.address(copy);
  texts.forEach((text, i) => {
    pointers[i] = at;
    at += BigInt(Buffer.byteLength(text) + 1);
  });
  return { pointers, bytes: copy };
}

/** Whether the terminal sends its signals to this process group. */
export function isInForeground(): boolean {
  const libc = requireLibc();
  const group = Number(libc.func('int getpgrp()')());
  return STANDARD_STREAMS.some((fd) => Number(libc.func('int tcgetpgrp(int fd)')(fd)) === group);
}
