/**
 * LiveViewOptions: what the server of a live page is made with.
 *
 * Made by: the program that runs the VM, through openLivePage or the command line.
 */

import type { Timing } from '../sync/timer-lateness.js';
import type { UserVm } from '../vm/user-vm.js';
import type { GuestConsole } from './guest-console.js';

export interface LiveViewOptions {
  readonly vm: UserVm;
  /** The version of upcall. */
  readonly version: string;
  /** The hypervisor's name. */
  readonly hypervisor: string;
  /** Undefined: the page shows no console. */
  readonly console?: GuestConsole;
  /** Address to listen at. Default: the loopback address. */
  readonly host?: string;
  /** Default: any free port. */
  readonly port?: number;
  /**
   * How long a request of a page stays held after the report that no page is open (RETURN_MS).
   * Default: DEFAULT_RELEASE_MS. Infinity: until a page continues it, or a page chooses a release
   * after all: it then comes after DEFAULT_RELEASE_MS.
   */
  readonly releaseMs?: number;
  /** The folder of the built page. Default: that of the package. */
  readonly pageFolder?: URL;
  /** For time limits. Default: the host's. */
  readonly timing?: Timing;
}
