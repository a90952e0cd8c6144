/**
 * PrivateApt: the machine's own apt, for another architecture and in a folder of its own. It reads
 * the machine's sources, keys and proxies, needs no root, and changes nothing outside of its
 * folder: no package list, no cache, no status file of the system, and none of the commands that
 * the system's configuration hangs on an update.
 */

import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runTool, type ToolResult } from './run-tool.js';

/** Fields of a package's description, e.g. Version and Depends. */
export type PackageFields = ReadonlyMap<string, string>;

export class PrivateApt {
  readonly folder: string;
  readonly #configuration: string;

  /** `folder` must exist. */
  static async open(folder: string, architecture: string): Promise<PrivateApt> {
    const apt = new PrivateApt(folder);
    await mkdir(join(folder, 'state/lists/partial'), { recursive: true });
    await mkdir(join(folder, 'cache/archives/partial'), { recursive: true });
    await writeFile(join(folder, 'status'), '');
    await writeFile(apt.#configuration, configuration(folder, architecture));
    return apt;
  }

  private constructor(folder: string) {
    this.folder = folder;
    this.#configuration = join(folder, 'apt.conf');
  }

  /**
   * Its status is not 0 as soon as one source fails, though the packages may be had all the same.
   */
  update(): Promise<ToolResult> {
    return this.#run('apt-get', '-q', 'update');
  }

  /** The candidate's description, or undefined when no source has the package. */
  async show(name: string): Promise<PackageFields | undefined> {
    const { status, output } = await this.#run('apt-cache', 'show', '--no-all-versions', name);
    return status === 0 ? readFields(output) : undefined;
  }

  async names(prefix: string): Promise<string[]> {
    const { output } = await this.#run('apt-cache', 'pkgnames', prefix);
    return output.split('\n').filter((name) => name !== '');
  }

  /** Puts the packages into the folder. */
  download(names: readonly string[]): Promise<ToolResult> {
    return this.#run('apt-get', '-q', 'download', ...names);
  }

  #run(program: string, ...parameters: string[]): Promise<ToolResult> {
    return runTool(program, ['-c', this.#configuration, ...parameters], this.folder);
  }
}

/**
 * Given by -c, it is read after the system's configuration, so that `#clear` reaches what that has
 * set.
 */
function configuration(folder: string, architecture: string): string {
  return `#clear APT::Architectures;
APT::Architecture "${architecture}";
APT::Architectures { "${architecture}"; };
Dir::State "${folder}/state";
Dir::State::status "${folder}/status";
Dir::Cache "${folder}/cache";
// apt as root would become the user _apt, who cannot get into a private folder.
APT::Sandbox::User "root";
Acquire::Languages "none";
// By itself apt calls it a success when it could fetch none of the lists.
APT::Update::Error-Mode "any";
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear DPkg::Pre-Invoke;
#clear DPkg::Post-Invoke;
`;
}

/** The first description in `text` (deb822: "Field: value", continued lines begin with a blank). */
function readFields(text: string): PackageFields {
  const fields = new Map<string, string>();
  for (const line of text.split('\n')) {
    if (line === '' && fields.size > 0) break;
    const match = /^([\w-]+): *(.*)$/.exec(line);
    if (match !== null) fields.set(match[1] as string, match[2] as string);
  }
  return fields;
}
