/**
 * createProject: the folder of a new device or PCI card, from the files in templates/. They are a
 * working device named `new-device`, whose name is replaced.
 *
 * Called by: `upcall new device`.
 */

import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ImportedRegisters } from '../device-model/register-import/import-registers.js';
import type { RegisterDescription } from '../device-model/register-map.js';
import { hex } from '../io-request/io-request.js';
import { UpcallError } from '../io-request/upcall-error.js';
import { markdown, registerSource, registerTable } from './register-source.js';

/** The package, in the repository or where it is installed. */
const PACKAGE = new URL('../../', import.meta.url);
const TEMPLATES = new URL('../../templates/', import.meta.url);
/** npm leaves files of this name out of a package. */
const RENAMED: Readonly<Record<string, string>> = { gitignore: '.gitignore' };
const MAX_NAME = 64;
/** Names that the templates import or declare, which the class must not take. */
const TAKEN =
  /^(AccessSize|Bench|CardBench|CardHandle|Clock|ClockTimer|Device|DeviceContext|InterruptLine|PciCard|PciDescription|RegisterMap|RegisterCoverage|RegisterName|RegisterState|Values)$/;

/** Bytes of a device's range: those of the smallest BAR, and those that are free at 0xd0000000. */
const [MIN_RANGE, MAX_RANGE] = [0x10, 0x1000_0000];

export type ProjectKind = 'device' | 'card';

export interface NewProject {
  /** The folder, as an absolute path. */
  readonly folder: string;
  /** The module of the device, within the folder. */
  readonly module: string;
  /** All files, within the folder. */
  readonly files: readonly string[];
  /** What the project does not have of `registers`, a sentence each. */
  readonly notes: readonly string[];
}

/**
 * Creates the folder and its files. With `registers` the device has those, and stores what a guest
 * writes. Rejects with OPTION_INVALID if `name` is not words of small letters and digits with -
 * between them, or if `folder` has files or cannot be read, and with REGISTERS_INVALID if the
 * registers do not fit into one range.
 */
export async function createProject(
  kind: ProjectKind,
  name: string,
  folder: string,
  registers?: ImportedRegisters,
): Promise<NewProject> {
  checkName(name);
  const target = resolve(folder);
  await checkEmpty(target);
  const own = registers === undefined ? undefined : ownRegisters(registers);
  const texts = new Map<string, string>();
  for (const template of own === undefined ? ['common', kind] : ['common', 'registers-common', `registers-${kind}`]) {
    const source = fileURLToPath(new URL(`${template}/`, TEMPLATES));
    for (const path of await readdir(source, { recursive: true })) {
      if (!(await stat(join(source, path))).isFile()) continue;
      texts.set(RENAMED[path] ?? path, await readFile(join(source, path), 'utf8'));
    }
  }
  if (own !== undefined) texts.set('new-device.registers.ts', own.source);
  const files: string[] = [];
  for (const [template, text] of texts) {
    const file = template.replaceAll('new-device', name);
    await mkdir(dirname(join(target, file)), { recursive: true });
    await writeFile(join(target, file), own?.fill(filledIn(text, name, target)) ?? filledIn(text, name, target));
    files.push(file.replaceAll(sep, '/'));
  }
  return { folder: target, module: `${name}.ts`, files: files.sort(), notes: own?.notes ?? [] };
}

interface OwnRegisters {
  /** The module of the register map. */
  readonly source: string;
  readonly notes: readonly string[];
  /** Puts length, table and source into a template. */
  readonly fill: (text: string) => string;
}

function ownRegisters({ map, length, notes }: ImportedRegisters): OwnRegisters {
  if (length > MAX_RANGE)
    throw new UpcallError(
      'REGISTERS_INVALID',
      `the registers lie in ${hex(length)} bytes, and a device has ${hex(MAX_RANGE)}`,
      {
        remedy: 'Take registers that lie together into a file of their own',
      },
    );
  const hidden: string[] = [];
  const registers = withoutHidden(map.registers, hidden);
  const own = { source: map.source, registers };
  // A card's BAR has a power of two.
  const range = hex(Math.max(MIN_RANGE, 2 ** Math.ceil(Math.log2(length))));
  return {
    source: registerSource(own),
    notes: [...notes, ...hidden],
    fill: (text) =>
      text
        .replaceAll('RANGE_LENGTH', range)
        .replace('REGISTER_SOURCE', () => markdown(map.source))
        .replace('REGISTER_TABLE', () => registerTable(own)),
  };
}

/** Of registers over each other, which no access can choose between, the device has the first. */
function withoutHidden(registers: readonly RegisterDescription[], notes: string[]): readonly RegisterDescription[] {
  const taken = new Map<string, string>();
  return registers.filter(({ name, offset, size, access }) => {
    const places = Array.from(access).flatMap((way) =>
      Array.from({ length: size }, (_, byte) => `${way}${offset + byte}`),
    );
    const other = places.map((place) => taken.get(place)).find((found) => found !== undefined);
    if (other !== undefined) notes.push(`${name} lies over ${other}, and is left out`);
    else for (const place of places) taken.set(place, name);
    return other === undefined;
  });
}

function filledIn(text: string, name: string, target: string): string {
  const ofPackage = relative(target, fileURLToPath(PACKAGE)).replaceAll(sep, '/');
  return text
    .replaceAll('new-device', name)
    .replaceAll('NewDevice', classNameOf(name))
    .replaceAll('file:UPCALL', `file:${ofPackage === '' ? '.' : ofPackage}`);
}

/** `look-counter`: LookCounter. A name that is taken gets `Device` at its end. */
export function classNameOf(name: string): string {
  const words = name.split('-').map((word) => word.charAt(0).toUpperCase() + word.slice(1));
  const joined = words.join('');
  return TAKEN.test(joined) || joined in globalThis ? `${joined}Device` : joined;
}

function checkName(name: string): void {
  if (/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/.test(name) && name.length <= MAX_NAME) return;
  throw new UpcallError('OPTION_INVALID', `the name "${name}" cannot be that of a file and a class`, {
    remedy: `Use at most ${MAX_NAME} small letters and digits, with - between words: look-counter`,
  });
}

async function checkEmpty(folder: string): Promise<void> {
  let entries: readonly string[];
  try {
    entries = await readdir(folder);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return;
    throw new UpcallError(
      'OPTION_INVALID',
      `${folder} cannot be used: ${code === 'ENOTDIR' ? 'it is not a folder' : String(code)}`,
      {
        remedy: 'Choose another folder: --folder DIR',
        cause: error,
      },
    );
  }
  if (entries.length > 0)
    throw new UpcallError('OPTION_INVALID', `${folder} has files already`, {
      remedy: 'Choose another name, or another folder: --folder DIR',
    });
}
