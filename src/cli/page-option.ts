/**
 * `--page [PORT]`, `--page-host`, `--page-release` and `--page-wait`: the live page of a session
 * (dashboard/). It is served before the guest starts, its address is printed, and it closes with
 * the session.
 *
 * Called by: the commands for the options; runSession and VmTools for the page.
 */

import { isIP } from 'node:net';
import type { Command } from 'commander';
import type { LiveView } from '../dashboard/live-view.js';
import type { GuestConsole } from '../dashboard/guest-console.js';
import { packageVersion } from '../dashboard/package-version.js';
import { UpcallError } from '../io-request/upcall-error.js';
import type { UserVm } from '../vm/user-vm.js';
import { ESCAPE_KEY_NAME, PAGE_KEY_NAME, SAVE_KEY_NAME } from './escape-key.js';
import type { Reporter } from './reporter.js';

export interface PagePlan {
  /** 0: any free port. */
  readonly port: number;
  /** Default: the loopback address. */
  readonly host?: string;
  /** LiveViewOptions.releaseMs. */
  readonly releaseMs?: number;
  /** Whether the guest starts only when a browser has opened the page. */
  readonly waits?: boolean;
}

export interface PageOptions {
  /** `true`: no port was given. */
  readonly page?: number | true;
  readonly pageHost?: string;
  /** In ms. */
  readonly pageRelease?: number;
  readonly pageWait?: boolean;
}

/**
 * Adds the options of PageOptions. `what`: the page's subject. `waiting`: what `--page-wait` holds.
 */
export function addPageOptions(command: Command, what: string, waiting = 'the guest'): Command {
  return command
    .option('--page [port]', `serve a live web page ${what}; prints its address`, parsePort)
    .option('--page-host <address>', 'serve the page on this address instead of 127.0.0.1, unencrypted')
    .option(
      '--page-release <seconds>',
      'continue held requests this long after the last page has left, or never (default: 60)',
      parseRelease,
    )
    .option('--page-wait', `hold ${waiting} until a browser has opened the page`);
}

/**
 * What the options ask for. Undefined without `--page`. Throws OPTION_INVALID for options of a page
 * without one.
 */
export function pagePlan({ page, pageHost, pageRelease, pageWait }: PageOptions): PagePlan | undefined {
  if (page === undefined) {
    const given =
      pageHost !== undefined
        ? '--page-host'
        : pageRelease !== undefined
          ? '--page-release'
          : pageWait === true
            ? '--page-wait'
            : undefined;
    if (given === undefined) return undefined;
    throw new UpcallError('OPTION_INVALID', `${given} has no effect without --page`, { remedy: 'Add --page' });
  }
  return {
    port: page === true ? 0 : page,
    ...(pageHost === undefined ? {} : { host: pageHost }),
    ...(pageRelease === undefined ? {} : { releaseMs: pageRelease }),
    ...(pageWait === true ? { waits: true } : {}),
  };
}

/** Returns milliseconds from seconds with up to three decimals, Infinity for `never`. */
export function parseRelease(text: string): number {
  if (text.trim() === 'never') return Infinity;
  const seconds = /^\d{1,6}(\.\d{1,3})?$/.test(text.trim()) ? Number(text) : NaN;
  if (seconds > 0) return Math.round(seconds * 1000);
  throw new UpcallError(
    'OPTION_INVALID',
    `--page-release ${text}: expected never or seconds above 0 and below 1000000`,
    { remedy: 'Give a time, for example 300' },
  );
}

/** Returns a TCP port. 0: any free one. */
export function parsePort(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : NaN;
  if (port <= 0xffff) return port;
  throw new UpcallError('OPTION_INVALID', `--page ${text}: expected a TCP port from 0 to 65535`, {
    // What follows may have been meant as the guest.
    remedy: /^-?\d+$/.test(text)
      ? 'Leave out the port: any free one is taken'
      : 'Leave out the port, and name the guest before the option: upcall run monitor --page',
  });
}

/** Opens the page and prints its address. Rejects as LiveView.open does. */
export async function openPage(
  plan: PagePlan,
  vm: UserVm,
  hypervisor: string,
  console: GuestConsole | undefined,
  reporter: Reporter,
): Promise<LiveView> {
  // Loaded only if it is used.
  const { LiveView } = await import('../dashboard/live-view.js');
  const view = await LiveView.open({
    ...plan,
    vm,
    hypervisor,
    ...(console === undefined ? {} : { console }),
    version: packageVersion(),
  });
  if (plan.host !== undefined && !isLoopback(plan.host))
    reporter.line(
      `the page is reachable at ${plan.host} from other machines, unencrypted: anybody on the network can read its token`,
    );
  reporter.line(addressLine(view));
  return view;
}

/** The page's address for the operator, at the start and whenever it is asked for. */
export function addressLine(view: { readonly address: string } | undefined): string {
  return view === undefined
    ? 'there is no live page: start the guest with upcall run --page'
    : `the live page is at ${view.address}`;
}

/** What the escape key does, in one line. */
export function escapeKeysLine(hasPage: boolean, savesTo?: string): string {
  const page = hasPage ? `; ${ESCAPE_KEY_NAME} ${PAGE_KEY_NAME} shows the page's address again` : '';
  const save = savesTo === undefined ? '' : `; ${ESCAPE_KEY_NAME} ${SAVE_KEY_NAME} saves to ${savesTo}`;
  return `${ESCAPE_KEY_NAME} leaves; pressed twice, it goes to the guest${page}${save}`;
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}
