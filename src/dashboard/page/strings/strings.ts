/**
 * All words of the page, one object for each language: a word that is missing in one of them is a compile error. Names of
 * the document stay as they are: FREE, PENDING, HSM, the fields of `struct acrn_io_request`.
 */

import type { HoldPoint, StateName } from '../../protocol.js';
import type { ConnectionState } from '../live/connection.js';
import type { PlottedStage } from '../../view/latency-history.js';

export interface Strings {
  readonly languageName: string;
  readonly header: {
    readonly requests: string;
    readonly perSecond: string;
    readonly holdPending: string;
    readonly holdComplete: string;
    readonly step: string;
    readonly go: string;
    readonly goAll: string;
    readonly help: string;
    readonly language: string;
    readonly theme: string;
    readonly themes: Readonly<Record<'system' | 'light' | 'dark', string>>;
    readonly running: string;
    readonly held: (count: number) => string;
    readonly ended: string;
  };
  readonly connection: Readonly<Record<ConnectionState, string>>;
  readonly picture: {
    readonly title: string;
    readonly serviceVm: string;
    readonly hypervisor: string;
    readonly userVm: string;
    readonly page: string;
    readonly worker: string;
    readonly ioHandler: string;
    readonly upcall: string;
    readonly hypercall: string;
    readonly assign: string;
    readonly finish: string;
    readonly ioClients: string;
    readonly defaultClient: string;
    readonly userspace: string;
    readonly ownThread: string;
    readonly gone: string;
    readonly trapped: string;
    readonly ownAnswers: string;
    readonly trap: string;
    readonly resume: string;
    readonly vcpu: (number: number) => string;
    readonly vcpuPaused: string;
    readonly vcpuRuns: string;
    readonly showRegisters: string;
  };
  readonly state: {
    readonly meaning: Readonly<Record<StateName, string>>;
    readonly owner: Readonly<Record<'hypervisor' | 'service-vm' | 'nobody', string>>;
    readonly ownerShort: Readonly<Record<'hypervisor' | 'service-vm' | 'nobody', string>>;
    readonly heldAt: Readonly<Record<HoldPoint, string>>;
    readonly unused: string;
  };
  readonly access: {
    readonly read: string;
    readonly write: string;
    readonly types: Readonly<Record<'port' | 'mmio' | 'pci' | 'write-protect', string>>;
  };
  readonly slot: {
    readonly title: string;
    readonly state: string;
    readonly owner: string;
    readonly age: string;
    readonly client: string;
    readonly request: string;
    readonly moves: string;
    readonly offset: string;
    readonly field: string;
    readonly number: string;
    readonly meaning: string;
    readonly bytes: string;
    readonly nobody: string;
    readonly waiting: string;
    readonly bits: (count: string) => string;
    readonly pinHint: string;
  };
  readonly console: {
    readonly title: string;
    readonly leaveHint: string;
    readonly none: string;
  };
  readonly clients: {
    readonly show: string;
    readonly title: string;
    readonly byClient: string;
    readonly byRange: string;
    readonly name: string;
    readonly ranges: string;
    readonly rate: string;
    readonly reads: string;
    readonly writes: string;
    readonly now: string;
    readonly sinceStart: string;
    readonly none: string;
  };
  readonly latency: {
    readonly title: string;
    readonly stages: Readonly<Record<PlottedStage, string>>;
    readonly stage: string;
    readonly time: string;
  };
  readonly unclaimed: {
    readonly title: string;
    readonly address: string;
    readonly none: string;
  };
  readonly timeline: {
    readonly title: string;
    readonly pause: string;
    readonly resume: string;
    readonly anyClient: string;
    readonly anyType: string;
    readonly anyDirection: string;
    readonly anyVcpu: string;
    readonly from: string;
    readonly to: string;
    readonly clear: string;
    readonly missed: (count: string) => string;
    readonly missedWhy: string;
    readonly time: string;
    readonly since: string;
    readonly move: string;
    readonly client: string;
    readonly request: string;
    readonly refused: string;
    readonly by: Readonly<Record<'vcpu' | 'hsm' | 'client', string>>;
    readonly none: string;
    readonly newestFirst: string;
  };
  readonly stops: {
    readonly title: string;
    readonly held: string;
    readonly noneHeld: string;
    readonly value: string;
    readonly change: string;
    readonly changed: string;
    readonly cannotChange: Readonly<Record<HoldPoint, string>>;
    readonly since: string;
    readonly breakpoints: string;
    readonly noBreakpoints: string;
    readonly add: string;
    readonly remove: (number: number) => string;
    readonly hits: (count: number) => string;
    readonly breakpoint: (number: number) => string;
    readonly at: string;
    readonly client: string;
    readonly address: string;
    readonly direction: string;
    readonly type: string;
    readonly expression: string;
    readonly any: string;
    readonly atPoint: Readonly<Record<HoldPoint, string>>;
    readonly detach: string;
  };
  readonly device: {
    readonly title: string;
    readonly choose: string;
    readonly none: string;
    readonly register: string;
    readonly offset: string;
    readonly value: string;
    readonly access: string;
    readonly hidden: string;
    readonly writeOnly: string;
    readonly noAnswer: string;
    readonly noAnswerWhy: string;
    readonly source: string;
  };
  readonly news: {
    readonly title: string;
    readonly none: string;
  };
  readonly help: {
    readonly title: string;
    readonly close: string;
    readonly states: string;
    readonly keys: Readonly<Record<ShortcutName, string>>;
  };
}

export type ShortcutName =
  | 'help'
  | 'console'
  | 'leaveConsole'
  | 'slots'
  | 'arrows'
  | 'holdPending'
  | 'holdComplete'
  | 'step'
  | 'go'
  | 'goAll'
  | 'addBreakpoint'
  | 'pause'
  | 'tabs'
  | 'language'
  | 'theme'
  | 'close';
