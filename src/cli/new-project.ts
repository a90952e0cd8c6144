/**
 * createProject: the folder of a new device or PCI card, from the files in templates/. They are a
 * working device named `new-device`, whose name is replaced.
 *
 * Called by: `upcall new device`.
 */

import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { UpcallError } from '../io-request/upcall-error.js';

/** The package, in the repository or where it is installed. */
const PACKAGE = new URL('../../', import.meta.url);
const TEMPLATES = new URL('../../templates/', import.meta.url);
/** npm leaves files of this name out of a package. */
const RENAMED: Readonly<Record<string, string>> = { gitignore: '.gitignore' };
const MAX_NAME = 64;
/** Names that the templates import or declare, which the class must not take. */
const TAKEN =
  /^(AccessSize|Bench|CardBench|CardHandle|Clock|ClockTimer|Device|DeviceContext|InterruptLine|PciCard|PciDescription|RegisterMap|RegisterCoverage)$/;

export type ProjectKind = 'device' | 'card';

export interface NewProject {
  /** The folder, as an absolute path. */
  readonly folder: string;
  /** The module of the device, within the folder. */
  readonly module: string;
  /** All files, within the folder. */
  readonly files: readonly string[];
}

/**
 * Creates the folder and its files. Rejects with OPTION_INVALID if `name` is not words of small
 * letters and digits with - between them, or if `folder` has files or cannot be read.
 */
export async function createProject(kind: ProjectKind, name: string, folder: string): Promise<NewProject> {
  checkName(name);
  const target = resolve(folder);
  await checkEmpty(target);
  const files: string[] = [];
  for (const template of ['common', kind]) {
    const source = fileURLToPath(new URL(`${template}/`, TEMPLATES));
    for (const entry of await readdir(source, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const path = relative(source, join(entry.parentPath, entry.name));
      const file = RENAMED[path] ?? path.replaceAll('new-device', name);
      const text = await readFile(join(source, path), 'utf8');
      await mkdir(dirname(join(target, file)), { recursive: true });
      await writeFile(join(target, file), filledIn(text, name, target));
      files.push(file.replaceAll(sep, '/'));
    }
  }
  return { folder: target, module: `${name}.ts`, files: files.sort() };
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
