/**
 * `upcall doctor`: which hypervisors run on this machine, why others do not, whether programs that
 * were written for ACRN do, and which tools exist.
 *
 * Called by: main.ts.
 */

import { access, constants } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { delimiter, join } from 'node:path';
import type { Command } from 'commander';
import type { Hypervisor } from '../../hypervisor/hypervisor.js';
import { errorText } from '../../io-request/error-text.js';
import { UpcallError } from '../../io-request/upcall-error.js';
import { ExitStatus } from '../exit-status.js';
import { HYPERVISORS, moduleChoice, type HypervisorChoice } from '../hypervisor-choice.js';
import { describePinning } from '../../vm/thread-pinning.js';
import { oneLine } from '../reporter.js';
import type { CommandContext } from './run.js';

/** Programs of the machine that only some commands use, each with its purpose. */
const TOOLS: readonly (readonly [string, string])[] = [
  ['apt-get', 'downloads the guest of upcall run debian; without it a mirror is read by HTTPS'],
  ['qemu-system-x86_64', 'its devices are what upcall compare compares with'],
  ['nasm', 'assembles the guest programs, for developers of upcall'],
];

const TOOL_WIDTH = Math.max(...TOOLS.map(([tool]) => tool.length));

/** Puts further lines below the descriptions. */
const INDENT = ' '.repeat(24);

export function addDoctorCommand(program: Command, context: CommandContext): void {
  program
    .command('doctor')
    .argument('[file]', 'a hypervisor module, which is also listed')
    .summary('which hypervisors run on this machine, and why others do not')
    .description('Lists the hypervisors that run on this machine, why others do not, and the tools that are installed.')
    .addHelpText(
      'after',
      `
Exit status: 0 if a hypervisor runs here, otherwise 1. A module only creates a VM here and runs no guest: test it
with the conformance suite, see docs/write-a-hypervisor.md.

Examples:
  upcall doctor
  upcall doctor my-hypervisor.js`,
    )
    .action(async (file: string | undefined) => {
      const lines = [
        `upcall ${program.version() ?? ''}, Node.js ${process.version}, ${process.platform} ${process.arch}, ${availableParallelism()} cores`,
        '',
        'Hypervisors',
      ];
      let runs = 0;
      for (const choice of HYPERVISORS) {
        const { isWorking, text } = await examine(choice, runsGuest);
        if (isWorking) runs++;
        lines.push(`  ${choice.name.padEnd(9)} ${isWorking ? 'runs here ' : 'not usable'}  ${choice.about}`, ...text);
      }
      if (file !== undefined) {
        const choice = await moduleChoice(file);
        const { isWorking, text } = await examine(choice, createsVm);
        if (isWorking) runs++;
        lines.push(`  ${choice.name.padEnd(9)} ${isWorking ? 'runs here ' : 'not usable'}  ${choice.about}`, ...text);
      }
      lines.push('', 'Threads', `  --pin     ${describePinning()}`, '');
      lines.push('Programs of other processes, with upcall hsm', `  foreign programs  ${await foreignPrograms()}`, '');
      lines.push('Tools');
      for (const [tool, use] of TOOLS)
        lines.push(`  ${tool.padEnd(TOOL_WIDTH)} ${(await isInPath(tool)) ? 'found     ' : 'not found '}  ${use}`);
      process.stdout.write(`${lines.join('\n')}\n`);
      context.setStatus(runs > 0 ? ExitStatus.OK : ExitStatus.GUEST_FAILED);
    });
}

/** A check of a hypervisor that is available. Returns a summary in one line. */
type Check = (hypervisor: Hypervisor) => Promise<string>;

const runsGuest: Check = async (hypervisor) => {
  const { selfTest } = await import('../self-test.js');
  return `self-test passed: ${await selfTest(hypervisor)}`;
};

/** A module may run guests of another kind than ours, so it only has to create a VM. */
const createsVm: Check = async (hypervisor) => {
  const { ServiceVm } = await import('../../vm/service-vm.js');
  const serviceVm = new ServiceVm(hypervisor);
  try {
    const { hypercalls } = await serviceVm.createUserVm({ name: 'doctor', memoryMiB: 1 });
    return `created a VM with ${hypercalls.vcpuCount} vCPU and ended it`;
  } finally {
    await serviceVm.close();
  }
};

/** Whether a hypervisor passes the check, and the lines that say why. */
async function examine(choice: HypervisorChoice, check: Check): Promise<{ isWorking: boolean; text: string[] }> {
  try {
    const state = await choice.available();
    if (!state.available) return { isWorking: false, text: [`${INDENT}${state.reason}`, `${INDENT}${state.remedy}`] };
    const hypervisor = await choice.create();
    const text = [`${INDENT}${state.detail}; ${await check(hypervisor)}`];
    const limitation = await hypervisor.whyNoSystem?.();
    if (limitation !== undefined)
      text.push(`${INDENT}no operating systems: ${limitation.reason}`, `${INDENT}${limitation.remedy}`);
    return { isWorking: true, text };
  } catch (error) {
    const reason = error instanceof UpcallError ? error.describe() : errorText(error).message;
    return { isWorking: false, text: [`${INDENT}${oneLine(reason)}`] };
  }
}

/** What `upcall hsm` can do here, by trying it. */
async function foreignPrograms(): Promise<string> {
  const { canTrackWrites, selfTest, shimSupport } = await import('../../acrn-programs/support.js');
  const support = await selfTest();
  if (support.available)
    return canTrackWrites()
      ? 'yes: a program found the device and was made to map memory'
      : 'yes, without translation of the guest: this kernel does not show what a program writes (Linux 6.7)';
  const shim = shimSupport().available ? ' With --shim they run.' : '';
  return oneLine(`no: ${support.reason}. ${support.remedy}.${shim}`);
}

async function isInPath(tool: string): Promise<boolean> {
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    try {
      await access(join(folder, tool), constants.X_OK);
      return true;
    } catch {
      continue;
    }
  }
  return false;
}
