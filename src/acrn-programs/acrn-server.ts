/**
 * AcrnServer: /dev/acrn_hsm of a Service VM for programs of other processes. Their calls arrive in
 * one of two ways. The seccomp filter of a program stops them, and the filter's listener brings
 * them here (NotifiedProgram). Or a library that is preloaded into the program, the shim, sends
 * them to a socket (ProgramSocket). Launchers also connect to this socket: upcall processes that
 * start a program for a server that runs already (`upcall hsm --connect`).
 *
 * Called by: cli/hsm-session.ts.
 * Callers must: have checked that programs can be served here (support.ts).
 */

import { HsmDevice, type HsmDeviceOptions } from '../acrn-hsm/hsm-device.js';
import { MemoryFiles } from '../host/node/linux/memory-files.js';
import type { Listener } from '../host/node/linux/seccomp-filter.js';
import type { ServiceVm } from '../vm/service-vm.js';
import type { Report } from './carried-mappings.js';
import { NotifiedProgram } from './notified-program.js';
import { OpenFiles } from './open-files.js';
import { PathCalls } from './path-calls.js';
import { ProgramSocket } from './program-socket.js';
import { ServiceVmFiles } from './service-vm-files.js';

export interface AcrnServerOptions extends Omit<HsmDeviceOptions, 'memory'> {
  /** See NotifiedProgramOptions.tracksWrites. */
  readonly tracksWrites: boolean;
  /** Whether programs find what ACRN's device model wants of its machine (ServiceVmFiles). */
  readonly asServiceVm: boolean;
  readonly report: Report;
  /** See OpenFilesOptions.onChange. */
  readonly onFilesChanged?: () => void;
}

type ServerOptions = Pick<AcrnServerOptions, 'report' | 'tracksWrites' | 'asServiceVm'>;

export class AcrnServer {
  readonly device: HsmDevice;
  readonly files: OpenFiles;
  readonly #options: ServerOptions;
  readonly #machine: ServiceVmFiles | undefined;
  readonly #programs = new Set<NotifiedProgram>();
  readonly #sockets: ProgramSocket[] = [];

  /** Rejects with HYPERVISOR_UNAVAILABLE or OPTION_INVALID as HsmDevice does. */
  static async create(
    serviceVm: ServiceVm,
    { report, tracksWrites, asServiceVm, onFilesChanged, ...options }: AcrnServerOptions,
  ): Promise<AcrnServer> {
    const files = new MemoryFiles();
    const device = new HsmDevice(serviceVm, { hasExtensions: true, ...options, memory: files });
    await device.load();
    const open = await OpenFiles.create({
      device,
      files,
      waker: serviceVm.pinning.waker,
      ...(onFilesChanged === undefined ? {} : { onChange: onFilesChanged }),
    });
    return new AcrnServer(device, open, { report, tracksWrites, asServiceVm });
  }

  private constructor(device: HsmDevice, files: OpenFiles, options: ServerOptions) {
    this.device = device;
    this.files = files;
    this.#options = options;
    this.#machine = options.asServiceVm ? new ServiceVmFiles() : undefined;
  }

  /**
   * Serves the program whose filter has this listener. NotifiedProgram.close, which `close` calls,
   * closes the listener.
   */
  serve(listener: Listener): NotifiedProgram {
    const program = new NotifiedProgram({
      listener,
      files: this.files,
      paths: new PathCalls(this.files, this.#machine),
      machine: this.#machine,
      ...this.#options,
    });
    this.#programs.add(program);
    return program;
  }

  /** Serves programs that connect at `path`, an absolute path. Throws as ProgramSocket does. */
  listen(path: string): ProgramSocket {
    const socket = new ProgramSocket(path, {
      files: this.files,
      serve: (listener) => {
        const program = this.serve(listener);
        return {
          close: () => {
            this.#programs.delete(program);
            program.close();
          },
        };
      },
      ...this.#options,
    });
    this.#sockets.push(socket);
    return socket;
  }

  /**
   * Returns a function that prints a line at the terminal of the launcher that has started
   * `process`. Undefined without such a launcher.
   */
  relayOf(process: number): ((line: string) => void) | undefined {
    for (const socket of this.#sockets) {
      const launcher = socket.launcherOf(process);
      if (launcher !== undefined) return (line) => launcher.relay(line);
    }
    return undefined;
  }

  /** Ends every VM. Programs find no device any more. */
  async close(): Promise<void> {
    await this.device.unload();
    for (const socket of this.#sockets) socket.close();
    for (const program of this.#programs) program.close();
    this.files.close();
    this.#machine?.close();
  }
}
