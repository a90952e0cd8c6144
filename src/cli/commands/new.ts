/** `upcall new device`: a folder with a device of one's own, its test and its tools. */

import { spawn } from 'node:child_process';
import { relative } from 'node:path';
import type { Command } from 'commander';
import { UpcallError } from '../../io-request/upcall-error.js';
import { createProject, type NewProject } from '../new-project.js';
import { readRegisters } from '../registers-option.js';
import type { CommandContext } from './run.js';

interface NewOptions {
  readonly pci?: boolean;
  readonly folder?: string;
  readonly registers?: string;
  readonly install: boolean;
}

export function addNewCommand(program: Command, context: CommandContext): void {
  const command = program.command('new').summary('begin a device of your own').description('Creates a project.');
  command
    .command('device')
    .summary('a device or PCI card in TypeScript, with its test')
    .description(
      'Creates a folder with a device in TypeScript: a timer with an interrupt, or with --pci a card with DMA and ' +
        'messages. Beside it are its test, the types, a launch configuration for VS Code and a README.',
    )
    .argument('<name>', 'small letters and digits, with - between words: look-counter')
    .option('--pci', 'a PCI card instead of a device at ports or addresses of its own')
    .option(
      '--registers <file[,block]>',
      'its registers: CMSIS-SVD (XML) or SystemRDL (JSON), and the peripheral in it',
    )
    .option('--folder <dir>', 'where to create it (default: a folder of that name)')
    .option('--no-install', 'do not run npm install in it')
    .addHelpText(
      'after',
      `
npm install in the new folder fetches TypeScript and the test runner's loader. See docs/write-a-device.md.

--registers takes a CMSIS-SVD file and the name of a peripheral in it, or what the JSON exporter of systemrdl-compiler writes.
The device then has these registers, which keep what is written as the file says.

Examples:
  upcall new device look-counter        then: cd look-counter; npm test; npm start
  upcall new device checksum --pci      a PCI card
  upcall new device timer --registers chip.svd,TIMER0
  upcall new device uart --folder ~/devices/uart --no-install`,
    )
    .action(async (name: string, options: NewOptions) => {
      const registers = options.registers === undefined ? undefined : await readRegisters(options.registers);
      const kind = options.pci === true ? 'card' : 'device';
      const project = await createProject(kind, name, options.folder ?? name, registers);
      const place = relative('', project.folder) || '.';
      process.stdout.write(`${place}: ${project.files.join(', ')}\n`);
      for (const note of project.notes) context.reporter.line(`${options.registers ?? ''}: ${note}`);
      if (options.install) await install(project, context);
      process.stdout.write(nextSteps(place, options));
    });
}

function nextSteps(place: string, { pci, install, registers }: NewOptions): string {
  const steps = [
    `cd ${place}`,
    ...(install ? [] : ['npm install']),
    'npm test             the device alone, without a guest',
    pci === true
      ? 'npm start            Debian with the card'
      : `npm start            the monitor, with the device at ${registers === undefined ? 'ports 0x500' : '0xd0000000'}`,
    ...(pci === true ? ['npm run serve        the card for a machine of QEMU'] : []),
  ];
  return `\nNow:\n${steps.map((step) => `  ${step}\n`).join('')}`;
}

/** Runs npm, whose output is the operator's. Throws TOOL_FAILED. */
async function install({ folder }: NewProject, { reporter }: CommandContext): Promise<void> {
  reporter.line('npm install (TypeScript, its types and a loader; some seconds) ...');
  const remedy = `Run npm install in ${folder}, which is complete`;
  // With a shell: on Windows npm is a batch file. The command is constant.
  const child = spawn('npm install --no-audit --no-fund --loglevel=error', {
    cwd: folder,
    shell: true,
    stdio: ['ignore', process.stderr, process.stderr],
  });
  const how = await new Promise<string>((ended) => {
    child.once('error', (error) => ended(error.message));
    child.once('close', (status, signal) => ended(status === 0 ? '' : signal === null ? `status ${status}` : signal));
  });
  if (how !== '') throw new UpcallError('TOOL_FAILED', `npm install failed (${how})`, { remedy });
}
