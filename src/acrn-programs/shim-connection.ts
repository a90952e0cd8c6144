/**
 * ShimConnection: one connection to the server's socket. It is an open file of a program with the
 * shim (native/acrn-hsm-shim.c), or belongs to the launcher of a program.
 *
 * Called by: program-socket.ts. Threads: the Service VM's.
 *
 * A peer is not trusted: a message that is not a request of this state ends the connection, and
 * with it the file's VM. The system says from which process a message is. So a child of fork can
 * use the file, with arguments in its own memory.
 */

import { Ioctl } from '../acrn-hsm/ioctl-codes.js';
import { closeDescriptor, linkOf } from '../host/node/linux/descriptors.js';
import { requireLibc, type PollHandle } from '../host/node/linux/libc.js';
import type { Listener } from '../host/node/linux/seccomp-filter.js';
import { isDescendant, threadFacts } from '../host/node/linux/process-facts.js';
import type { Received, UnixSockets } from '../host/node/linux/unix-sockets.js';
import { Errno } from '../io-request/errno.js';
import { errorText } from '../io-request/error-text.js';
import { RateLimit } from '../sync/rate-limit.js';
import { AttachInterrupt } from './attach-interrupt.js';
import type { Report } from './carried-mappings.js';
import { foreignIoctl } from './foreign-ioctl.js';
import type { ForeignMapping } from './foreign-memory.js';
import type { OpenFile, OpenFiles } from './open-files.js';
import {
  Confirm,
  lineBytes,
  MAGIC,
  MAX_REPLY_MAPPINGS,
  Operation,
  parseRequest,
  replyBytes,
  type Request,
} from './shim-messages.js';

/** Limit of the calls of one file that wait for their result. */
export const MAX_WAITING_CALLS = 256;
/** Limit of the lines for a launcher's terminal. */
const MAX_LINES_PER_SECOND = 50;
/**
 * From this number on, a new call first ends those of dead processes. It is below MAX_WAITERS, the
 * limit of calls of ATTACH (userspace-client.ts), so that dead ones do not keep others out.
 */
const MANY_WAITING_CALLS = 32;
/** What proc(5) shows for a descriptor that is a filter's listener. */
const LISTENER_LINK = 'anon_inode:seccomp notify';

export interface ShimConnectionOptions {
  readonly sockets: UnixSockets;
  /** The connected socket, which this closes. */
  readonly fd: number;
  readonly files: OpenFiles;
  /** Serves the program whose filter has this listener, until the returned object is closed. */
  readonly serve: (listener: Listener) => { close(): void };
  /** As in NotifiedProgramOptions. */
  readonly tracksWrites: boolean;
  /** What is worth a line to the operator. */
  readonly report: Report;
  readonly onClosed: (connection: ShimConnection) => void;
}

interface WaitingCall {
  /** The socket for the reply. */
  readonly reply: number;
  readonly code: number;
  readonly interrupt: AttachInterrupt;
  /** Set while the program maps memory. */
  result?: { readonly pid: number; readonly value: number; readonly mappings: readonly ForeignMapping[] };
}

export class ShimConnection {
  readonly #options: ShimConnectionOptions;
  readonly #poll: PollHandle;
  readonly #waiting = new Map<bigint, WaitingCall>();
  #file: OpenFile | undefined;
  /** The process, if it is a launcher. */
  #launcher: number | undefined;
  readonly #lineRate = new RateLimit(MAX_LINES_PER_SECOND);
  /** Lines that were not relayed since the last one that was. */
  #lostLines = 0;
  /** What `serve` has returned for a launcher: at most one. */
  #programs: { close(): void }[] = [];
  /** The descriptor that came along with the current call, and its number there. */
  #passed: { readonly number: number; readonly fd: number } | undefined;
  #isClosed = false;

  constructor(options: ShimConnectionOptions) {
    const libc = requireLibc();
    this.#options = options;
    this.#poll = libc.poll(options.fd, () => this.#receive());
  }

  /** Whether it belongs to the launcher that has started `process`. */
  isLauncherOf(process: number): boolean {
    return this.#launcher !== undefined && isDescendant(process, this.#launcher);
  }

  /**
   * Prints the line at the launcher's terminal. Lines above MAX_LINES_PER_SECOND, and those for
   * which the launcher's socket has no room, are lost: only their number is printed there.
   */
  relay(line: string): void {
    if (this.#isClosed) return;
    const { sockets, fd } = this.#options;
    if (this.#lineRate.allows()) {
      if (this.#lostLines > 0 && sockets.send(fd, lineBytes(`${this.#lostLines} lines are at the server only`)))
        this.#lostLines = 0;
      if (sockets.send(fd, lineBytes(line))) return;
    }
    this.#lostLines++;
  }

  /** Ends the file's VM, or stops serving the launcher's program. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const { fd, files, onClosed } = this.#options;
    this.#poll.close();
    closeDescriptor(fd);
    for (const { reply, interrupt } of this.#waiting.values()) {
      interrupt.abort();
      closeDescriptor(reply);
    }
    this.#waiting.clear();
    if (this.#file !== undefined) files.remove(this.#file);
    for (const program of this.#programs) program.close();
    onClosed(this);
  }

  #receive(): void {
    const { sockets, fd, report } = this.#options;
    if (this.#isClosed) return;
    const message = sockets.receive(fd);
    if (message === undefined) return;
    if (message === 'closed') {
      this.close();
      return;
    }
    const request = message.isCut || message.pid === 0 ? undefined : parseRequest(message.bytes);
    if (request !== undefined && this.#serve(request, message)) return;
    for (const one of message.descriptors) closeDescriptor(one);
    report(`process ${message.pid} sent an invalid message: its connection is closed`, message.pid);
    this.close();
  }

  /** Returns false, and has used no descriptor, if the request is invalid here. */
  #serve(request: Request, { pid, descriptors }: Received): boolean {
    const [reply, second] = descriptors;
    const { operation, call } = request;
    const file = this.#file;
    if (operation === Operation.INTERRUPT) {
      if (file === undefined || reply !== undefined) return false;
      this.#interrupt(call);
      return true;
    }
    if (operation === Operation.MAPPED) return file !== undefined && this.#mapped(file, request, descriptors);
    if (reply === undefined || descriptors.length > 2) return false;
    const isFresh = file === undefined && this.#launcher === undefined;
    if (operation === Operation.IOCTL && file !== undefined) {
      const isPassed = second !== undefined;
      if (isPassed !== request.descriptor >= 0 || this.#waiting.has(call)) return false;
      if (second !== undefined) this.#passed = { number: request.descriptor, fd: second };
      this.#ioctl(file, pid, request, reply);
      if (this.#passed !== undefined) closeDescriptor(this.#passed.fd);
      this.#passed = undefined;
    } else if (operation === Operation.OPEN && isFresh && second === undefined)
      this.#answer(reply, this.#open(pid, request.argument));
    else if (operation === Operation.LAUNCH && isFresh && second === undefined) {
      this.#launcher = pid;
      this.#answer(reply, request.argument === 0n || this.#canRead(pid, request.argument) ? 0 : Errno.EPERM);
    } else if (operation === Operation.LISTENER && this.#launcher !== undefined && second !== undefined) {
      if (linkOf(process.pid, second) !== LISTENER_LINK || this.#programs.length > 0) return false;
      this.#programs.push(this.#options.serve({ fd: second, isInterruptible: request.argument !== 1n }));
      this.#answer(reply, 0);
    } else return false;
    return true;
  }

  /** Whether the word at `address` of the process is MAGIC. */
  #canRead(pid: number, address: bigint): boolean {
    const word = new Uint32Array(1);
    return this.#options.files.memory.read(pid, address, new Uint8Array(word.buffer)) && word[0] === MAGIC;
  }

  #open(pid: number, probe: bigint): number {
    const { files, report } = this.#options;
    if (!this.#canRead(pid, probe)) {
      if (threadFacts(pid)?.hasEnded === false)
        report(`the memory of process ${pid} cannot be accessed: allow process_vm_readv and ptrace for it`, pid);
      return Errno.EPERM;
    }
    this.#file = files.add(pid, (fd) => this.#takePassed(fd));
    return this.#file === undefined ? Errno.EMFILE : 0;
  }

  #takePassed(number: number): number {
    const passed = this.#passed;
    if (passed?.number !== number) return Errno.EBADF;
    this.#passed = undefined;
    return passed.fd;
  }

  #ioctl(file: OpenFile, pid: number, { call, code, argument }: Request, reply: number): void {
    if (this.#waiting.size >= MAX_WAITING_CALLS) {
      this.#answer(reply, Errno.ENOMEM);
      return;
    }
    if (this.#waiting.size >= MANY_WAITING_CALLS) this.#forgetDead();
    const interrupt = new AttachInterrupt();
    const result = foreignIoctl(file, { thread: pid, code, argument }, interrupt);
    const waiting: WaitingCall = { reply, code, interrupt };
    if (typeof result === 'number') this.#finish(file, pid, call, waiting, result);
    else {
      this.#waiting.set(call, waiting);
      void result.then((value) => {
        // An interrupted call, or that of a closed connection, gets no reply.
        if (this.#waiting.delete(call)) this.#finish(file, pid, call, waiting, value);
      });
    }
  }

  /** Ends calls of processes that have died: children of one that has the file open. */
  #forgetDead(): void {
    const { sockets } = this.#options;
    for (const [call, { reply }] of this.#waiting) {
      const message = sockets.receive(reply);
      if (message === 'closed') this.#interrupt(call);
      // The shim sends nothing there. Another peer must not fill this process with descriptors.
      else for (const fd of message?.descriptors ?? []) closeDescriptor(fd);
    }
  }

  /** A signal ended the wait of the program's thread. */
  #interrupt(call: bigint): void {
    const waiting = this.#waiting.get(call);
    if (waiting?.code !== Ioctl.ATTACH_IOREQ_CLIENT) return;
    this.#waiting.delete(call);
    closeDescriptor(waiting.reply);
    waiting.interrupt.abort();
  }

  #finish(file: OpenFile, pid: number, call: bigint, waiting: WaitingCall, value: number): void {
    const mappings = file.memory.takeMappings().slice(0, MAX_REPLY_MAPPINGS);
    if (value < 0 || mappings.length === 0) {
      this.#answer(waiting.reply, value);
      return;
    }
    waiting.result = { pid, value, mappings };
    this.#waiting.set(call, waiting);
    const isTracked = this.#options.tracksWrites && mappings.some(({ written }) => written !== undefined);
    const confirm = isTracked && !file.memory.isTracking(pid) ? Confirm.MAPPED_WITH_USERFAULT : Confirm.MAPPED;
    const fds = mappings.map(({ fd }) => fd);
    this.#options.sockets.send(waiting.reply, replyBytes(value, mappings, confirm), fds);
  }

  /** The program has mapped what a reply said. Returns false if it was not asked to. */
  #mapped(file: OpenFile, { call, argument }: Request, [userfault, ...others]: readonly number[]): boolean {
    const waiting = this.#waiting.get(call);
    if (waiting?.result === undefined || others.length > 0) return false;
    const { pid, value, mappings } = waiting.result;
    this.#waiting.delete(call);
    let error = argument === 0n ? undefined : `memory cannot be mapped: errno ${argument}`;
    try {
      if (userfault !== undefined && error === undefined && !file.memory.isTracking(pid))
        file.memory.track(pid, userfault);
      else if (userfault !== undefined) closeDescriptor(userfault);
      if (error === undefined) for (const mapping of mappings) file.memory.mapped(pid, mapping);
    } catch (thrown) {
      error = `its stores cannot be noticed: ${errorText(thrown).message}. Use --no-translate`;
    }
    if (error !== undefined) this.#options.report(`process ${pid}: ${error}`, pid);
    this.#answer(waiting.reply, error === undefined ? value : Errno.ENOMEM);
    return true;
  }

  /** A peer that has gone, or reads no replies, loses them. */
  #answer(reply: number, result: number): void {
    this.#options.sockets.send(reply, replyBytes(result));
    closeDescriptor(reply);
  }
}
