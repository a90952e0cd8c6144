/**
 * PrivateApt: runs the machine's apt for another architecture, in a folder of its own.
 *
 * It uses the machine's sources, keys and proxies and needs no root. It changes nothing outside its
 * folder: not the system's package lists, cache or status file. Hooks of the system's configuration
 * do not run.
 */

import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runTool, type ToolResult } from './run-tool.js';

/** Fields of a package's description, e.g. Version and Depends. */
export type PackageFields = ReadonlyMap<string, string>;

export class PrivateApt {
  readonly folder: string;
  readonly #configuration: string;
  readonly #signal: AbortSignal | undefined;

  /** Creates the files that apt needs in `folder`, which must exist. */
  static async open(folder: string, architecture: string, signal?: AbortSignal): Promise<PrivateApt> {
    const apt = new PrivateApt(folder, signal);
    await mkdir(join(folder, 'state/lists/partial'), { recursive: true });
    await mkdir(join(folder, 'cache/archives/partial'), { recursive: true });
    await writeFile(join(folder, 'status'), '');
    await writeFile(apt.#configuration, configuration(folder, architecture));
    return apt;
  }

  private constructor(folder: string, signal: AbortSignal | undefined) {
    this.folder = folder;
    this.#signal = signal;
    this.#configuration = join(folder, 'apt.conf');
  }

  /** The status is not 0 if any source fails, even if the packages are available. */
  update(): Promise<ToolResult> {
    return this.#run('apt-get', '-q', 'update');
  }

  /** The candidate's description, or undefined if no source has the package. */
  async show(name: string): Promise<PackageFields | undefined> {
    const { status, output } = await this.#run('apt-cache', 'show', '--no-all-versions', name);
    return status === 0 ? readFields(output) : undefined;
  }

  async names(prefix: string): Promise<string[]> {
    const { output } = await this.#run('apt-cache', 'pkgnames', prefix);
    return output.split('\n').filter((name) => name !== '');
  }

  /** Downloads the packages into the folder. */
  download(names: readonly string[]): Promise<ToolResult> {
    return this.#run('apt-get', '-q', 'download', ...names);
  }

  #run(program: string, ...parameters: string[]): Promise<ToolResult> {
    return runTool(program, ['-c', this.#configuration, ...parameters], this.folder, this.#signal);
  }
}

/**
 * The contents of apt.conf. Apt reads the file of `-c` after the system's configuration, so
 * `#clear` removes settings of the system.
 */
function configuration(folder: string, architecture: string): string {
  return `#clear APT::Architectures;
APT::Architecture "${architecture}";
APT::Architectures { "${architecture}"; };
Dir::State "${folder}/state";
Dir::State::status "${folder}/status";
Dir::Cache "${folder}/cache";
// As root, apt would become the user _apt, which cannot access a private folder.
APT::Sandbox::User "root";
Acquire::Languages "none";
// By default apt reports success even if it fetched none of the lists.
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
