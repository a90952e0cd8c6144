// npm run acrn:sample: runs the sample of the Linux kernel for ACRN, samples/acrn/vm-sample.c, by
// `upcall hsm`. It is under the GPL, so it is not part of this repository: its source comes from
// Debian's package linux-source, and is built in .cache/acrn-sample/. Needs apt-get, cc and ld.
//
//   npm run acrn:sample              fetches, builds and runs it, and compares what it prints
//   npm run acrn:sample -- --keep    leaves out the fetch and the build if they were made before
//
// Exits with 1 if the output differs, with 2 if a tool is missing.

import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { readOptions } from './script-options.mjs';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const FOLDER = join(ROOT, '.cache/acrn-sample');
const SAMPLE = join(FOLDER, 'vm-sample');

/** The guest that the sample's linker script expects: the kernel's tree lacks one. */
const GUEST = `
	.text
	.code16
	mov	$0x700, %dx
	mov	$0x55, %al
	out	%al, %dx
	in	%dx, %al
	mov	$0x702, %dx
	out	%ax, %dx
	out	%ax, %dx
	cli
	hlt
`;

/** What the sample prints. The guest halts, and it ends by SIGINT. */
const EXPECTED = `Created VM! [0]
Set up VM memory! [0]
Set up VM BSP registers! [0]
Created IO request client! [0]
Start VM! [0]
Guest VM write PIO[700] with size[1]
Guest VM read PIO[700] with size[1]
Guest VM write PIO[702] with size[2]
Guest VM write PIO[702] with size[2]
Destroy VM! [0]
`;

const HELP = `acrn:sample [--keep]: runs samples/acrn/vm-sample.c of Linux, and compares what it prints
  --keep  leaves out the fetch and the build if they were made before
`;
const { values } = readOptions(HELP, { options: { keep: { type: 'boolean', default: false } } });

/** @type {(text: string) => never} */
function fail(text) {
  process.stderr.write(`${text}\n`);
  process.exit(2);
}

/** @type {(tool: string, args: readonly string[]) => string} */
function run(tool, args) {
  try {
    return execFileSync(tool, args, { cwd: FOLDER, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
  } catch (error) {
    return fail(`${tool} failed: ${/** @type {Error} */ (error).message.split('\n')[0]}`);
  }
}

function build() {
  mkdirSync(FOLDER, { recursive: true });
  if (!readdirSync(FOLDER).some((file) => file.endsWith('.deb'))) {
    const name = run('apt-cache', ['pkgnames', 'linux-source-'])
      .split('\n')
      .filter((one) => /^linux-source-[\d.]+$/.test(one))
      .sort()
      .pop();
    if (name === undefined) fail('there is no package linux-source: run apt-get update');
    process.stdout.write(`fetching ${name}, about 140 MB\n`);
    run('apt-get', ['-q', 'download', String(name)]);
  }
  const [deb = ''] = readdirSync(FOLDER).filter((file) => file.endsWith('.deb'));
  process.stdout.write('unpacking and building the sample\n');
  run('sh', [
    '-ec',
    `dpkg-deb --fsys-tarfile '${deb}' | tar -xO --wildcards './usr/src/linux-source-*.tar.xz' |
       tar -xJ --strip-components=3 --wildcards '*/samples/acrn/*'`,
  ]);
  writeFileSync(join(FOLDER, 'guest16.s'), GUEST);
  run('as', ['-o', 'guest16.o', 'guest16.s']);
  run('ld', ['-z', 'noexecstack', '-r', '-T', 'payload.ld', '-o', 'payload.o']);
  // The sample leaves a reserved field of its notification as it is, which has to be 0.
  run('cc', ['-ftrivial-auto-var-init=zero', '-z', 'noexecstack', '-o', SAMPLE, 'vm-sample.c', 'payload.o']);
}

if (!values.keep || !existsSync(SAMPLE)) build();
const args = [join(ROOT, 'upcall'), 'hsm', '--halt-signal', 'INT', '--', 'stdbuf', '-oL', SAMPLE];
const { stdout, status } = spawnSync(args[0] ?? '', args.slice(1), {
  encoding: 'utf8',
  stdio: ['ignore', 'pipe', 'inherit'],
});
process.stdout.write(stdout);
if (stdout !== EXPECTED || status !== 0) {
  process.stderr.write(`status ${status}; expected 0 and:\n${EXPECTED}`);
  process.exitCode = 1;
} else process.stdout.write('as expected\n');
