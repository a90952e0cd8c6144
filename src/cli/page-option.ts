/**
 * `--page [PORT]` and `--page-host`: the live page of a session (dashboard/). It is opened before
 * the guest starts, its address is printed, and it is gone with the session.
 */

import { isIP } from 'node:net';
import type { LiveView } from '../dashboard/live-view.js';
import type { GuestConsole } from '../dashboard/guest-console.js';
import { UpcallError } from '../io-request/upcall-error.js';
import type { UserVm } from '../vm/user-vm.js';
import { packageVersion } from './package-version.js';
import type { Reporter } from './reporter.js';

export interface PagePlan {
  /** 0: any that is free. */
  readonly port: number;
  /** The loopback address unless given. */
  readonly host?: string;
}

export interface PageOptions {
  /** `true`: without a port. */
  readonly page?: number | true;
  readonly pageHost?: string;
}

/** Undefined without a page. Throws OPTION_INVALID for a host without one. */
export function pagePlan({ page, pageHost }: PageOptions): PagePlan | undefined {
  if (page === undefined) {
    if (pageHost === undefined) return undefined;
    throw new UpcallError('OPTION_INVALID', '--page-host without --page', { remedy: 'Say --page as well' });
  }
  return { port: page === true ? 0 : page, ...(pageHost === undefined ? {} : { host: pageHost }) };
}

export function parsePort(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : NaN;
  if (port <= 0xffff) return port;
  throw new UpcallError('OPTION_INVALID', `--page ${text}: that is no TCP port`, {
    remedy: 'Give a number from 0 to 65535, or none and the guest before it: upcall run monitor --page',
  });
}

/** Opens the page and tells where it is. */
export async function openPage(
  plan: PagePlan,
  vm: UserVm,
  hypervisor: string,
  console: GuestConsole,
  reporter: Reporter,
): Promise<LiveView> {
  // Loaded for those who want one.
  const { LiveView } = await import('../dashboard/live-view.js');
  const view = await LiveView.open({ ...plan, vm, hypervisor, console, version: packageVersion() });
  if (plan.host !== undefined && !isLoopback(plan.host))
    reporter.line(
      `the page can be reached at ${plan.host} from other machines, without encryption: who reads the network reads the token`,
    );
  reporter.line(`the live page is at ${view.address}`);
  return view;
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}
