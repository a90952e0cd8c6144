/**
 * The seccomp filter of programs that are to find /dev/acrn_hsm: their calls that name a path,
 * their ioctls of ACRN's type and their requests for huge pages (memfd_create with MFD_HUGETLB, by
 * which ACRN's device model allocates a VM's RAM) wait until a supervisor has answered them. On
 * Linux 5.19 and later their returns from handlers of signals wait, too. All other calls run as
 * ever.
 *
 * Called by: acrn-programs/program-thread.ts, in the thread that starts the program. Others of that
 * folder, and signal-frames.ts, use the numbers of the calls.
 *
 * Sources: seccomp(2), linux/seccomp.h, linux/filter.h, and the call numbers of x86-64.
 */

import { requireLibc } from './libc.js';

/** Numbers of system calls on x86-64. */
export const SystemCall = {
  open: 2,
  stat: 4,
  lstat: 6,
  mmap: 9,
  rtSigreturn: 15,
  ioctl: 16,
  access: 21,
  close: 3,
  openat: 257,
  newfstatat: 262,
  faccessat: 269,
  memfdCreate: 319,
  statx: 332,
  openat2: 437,
  faccessat2: 439,
  userfaultfd: 323,
} as const;

/** The calls whose path the supervisor examines. */
const WITH_PATH = [
  SystemCall.open,
  SystemCall.stat,
  SystemCall.lstat,
  SystemCall.access,
  SystemCall.openat,
  SystemCall.newfstatat,
  SystemCall.faccessat,
  SystemCall.statx,
  SystemCall.openat2,
  SystemCall.faccessat2,
];

/** AUDIT_ARCH_X86_64. A call by the 32-bit interface has another architecture, and is allowed. */
const ARCH_X86_64 = 0xc000_003e;
/** The second byte of an ioctl's code: its type. Those of /dev/acrn_hsm have 0xA2. */
const TYPE_MASK = 0xff00;
const ACRN_TYPE = 0xa200;
const MFD_HUGETLB = 4;

// Offsets in struct seccomp_data.
const NUMBER = 0;
const ARCHITECTURE = 4;
/** The low half of an argument. */
const argument = (index: number): number => 16 + 8 * index;

// Classic BPF.
const LOAD = 0x20;
const AND = 0x54;
const JUMP_IF_EQUAL = 0x15;
const RETURN = 0x06;
const ALLOW = 0x7fff_0000;
const NOTIFY = 0x7fc0_0000;
const INSTRUCTION_BYTES = 8;

const SECCOMP_SET_MODE_FILTER = 1;
const SECCOMP_FILTER_FLAG_NEW_LISTENER = 8;
/** Linux 5.19. Older kernels refuse it with EINVAL. */
const SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV = 0x20;
const SECCOMP = 317;
const PR_SET_NO_NEW_PRIVS = 38;

/** The supervisor's end of a filter (notifications.ts). */
export interface Listener {
  /** Its descriptor. */
  readonly fd: number;
  /**
   * Whether any signal interrupts a call that the supervisor has received, as on Linux before 5.19.
   * Otherwise only a fatal signal ends it, and each return from a handler of a signal is notified,
   * too (signal-frames.ts).
   */
  readonly isInterruptible: boolean;
}

type Instruction = readonly [code: number, ifTrue: number, ifFalse: number, operand: number];

/**
 * The filter as an array of struct sock_filter. `numbers`: calls of which each is notified, besides
 * the ioctls and memfd_create.
 */
function filterProgram(numbers: readonly number[]): Uint8Array {
  const program: Instruction[] = [
    [LOAD, 0, 0, ARCHITECTURE],
    [JUMP_IF_EQUAL, 1, 0, ARCH_X86_64],
    [RETURN, 0, 0, ALLOW],
    [LOAD, 0, 0, NUMBER],
    ...ifMasked(SystemCall.ioctl, argument(1), TYPE_MASK, ACRN_TYPE),
    ...ifMasked(SystemCall.memfdCreate, argument(1), MFD_HUGETLB, MFD_HUGETLB),
    // Each jumps behind those that follow it, and behind ALLOW.
    ...numbers.map((number, i): Instruction => [JUMP_IF_EQUAL, numbers.length - i, 0, number]),
    [RETURN, 0, 0, ALLOW],
    [RETURN, 0, 0, NOTIFY],
  ];
  const bytes = new DataView(new ArrayBuffer(program.length * INSTRUCTION_BYTES));
  program.forEach(([code, ifTrue, ifFalse, operand], i) => {
    const at = i * INSTRUCTION_BYTES;
    bytes.setUint16(at, code, true);
    bytes.setUint8(at + 2, ifTrue);
    bytes.setUint8(at + 3, ifFalse);
    bytes.setUint32(at + 4, operand, true);
  });
  return new Uint8Array(bytes.buffer);
}

/** Notifies of call `number` if its argument, masked, has a value. Else the number is loaded. */
function ifMasked(number: number, offset: number, mask: number, value: number): Instruction[] {
  return [
    [JUMP_IF_EQUAL, 0, 5, number],
    [LOAD, 0, 0, offset],
    [AND, 0, 0, mask],
    [JUMP_IF_EQUAL, 0, 1, value],
    [RETURN, 0, 0, NOTIFY],
    [LOAD, 0, 0, NUMBER],
  ];
}

/**
 * Installs the filter for this thread, and what it starts from now on, forever. Those can gain no
 * privileges by exec (no_new_privs). `isInterruptible`: true asks for a listener as older kernels
 * have it. Throws with errno.
 */
export function installFilter(isInterruptible = false): Listener {
  const libc = requireLibc();
  const prctl = libc.func('int prctl(int option, ulong a, ulong b, ulong c, ulong d)');
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) !== 0) throw new Error(`prctl(2) failed: errno ${libc.errno()}`);
  const seccomp = libc.func('int64_t syscall(int64_t number, ulong operation, ulong flags, void *program)');
  const install = (numbers: readonly number[], flags: number): number => {
    const program = filterProgram(numbers);
    // struct sock_fprog: a number of instructions and their address.
    const header = new BigUint64Array([BigInt(program.length / INSTRUCTION_BYTES), libc.address(program)]);
    return Number(seccomp(SECCOMP, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER | flags, header));
  };
  let fd = isInterruptible
    ? -1
    : install([...WITH_PATH, SystemCall.rtSigreturn], SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV);
  if (fd >= 0) return { fd, isInterruptible: false };
  fd = install(WITH_PATH, 0);
  if (fd < 0) throw new Error(`seccomp(2) failed: errno ${libc.errno()}`);
  return { fd, isInterruptible: true };
}
