/**
 * openLivePage: serves the live page of a User VM, for programs that use the library. The page of
 * `upcall run --page` is the same, with the guest's console.
 */

import type { UserVm } from '../vm/user-vm.js';
import { packageVersion } from './package-version.js';

export interface LivePageOptions {
  /**
   * The address to listen on. Default: 127.0.0.1. At any other address, the token can
   * be read from the traffic.
   */
  readonly host?: string;
  /** Default: any free port. */
  readonly port?: number;
  /**
   * How long a request that a page holds stays held after the last page has left, in ms. Then the
   * guest continues without the pages' breakpoints. Default: 60 000. Infinity: until a page
   * continues it. The VM's events report both (`hold-abandoned`, `hold-released`). Requests that
   * the caller's own breakpoints hold are not affected.
   */
  readonly releaseMs?: number;
}

export interface LivePage {
  /** The address for a browser. Its token gives access to the VM. */
  readonly address: string;
  /** Closes the connections of all browsers and the server. */
  close(): Promise<void>;
}

/**
 * Rejects with OPTION_INVALID if it cannot listen at the address, or if a time is invalid. The
 * caller must close the page, which stays open after the VM has ended.
 */
export async function openLivePage(vm: UserVm, options: LivePageOptions = {}): Promise<LivePage> {
  // Loaded by programs that open a page, and by no others.
  const { LiveView } = await import('./live-view.js');
  return LiveView.open({ ...options, vm, hypervisor: vm.hypervisorName, version: packageVersion() });
}
