/**
 * PrivateApt: runs the machine's apt for another architecture, in a folder of its own.
 *
 * It uses the machine's sources, keys and proxies and needs no root. It changes nothing outside its
 * folder: not the system's package lists, cache or status file. Hooks of the system's configuration
 * do not run.
 *
 * Called by: openSource, which opens it; fetchDebian and rootImage, as PackageSource.
 */

import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { UpcallError } from '../../io-request/upcall-error.js';
import type { Architecture } from './architecture.js';
import { readFields, type PackageFields } from './package-fields.js';
import { guestSources } from './guest-sources.js';
import type { PackageSource, Progress } from './package-source.js';
import type { GuestSources } from './root-files.js';
import { runTool, type ToolResult } from './run-tool.js';

export interface AptOptions {
  /** It must exist. */
  readonly folder: string;
  readonly architecture: Architecture;
  readonly progress: Progress;
  readonly signal?: AbortSignal | undefined;
}

export class PrivateApt implements PackageSource {
  readonly remedy: string;
  readonly folder: string;
  readonly #architecture: Architecture;
  readonly #progress: Progress;
  readonly #configuration: string;
  readonly #signal: AbortSignal | undefined;

  /** Creates the files that apt needs in the folder. */
  static async open({ folder, architecture, progress, signal }: AptOptions): Promise<PrivateApt> {
    const apt = new PrivateApt(folder, architecture, progress, signal);
    await mkdir(join(folder, 'state/lists/partial'), { recursive: true });
    await mkdir(join(folder, 'cache/archives/partial'), { recursive: true });
    await writeFile(join(folder, 'status'), '');
    await writeFile(apt.#configuration, configuration(folder, architecture));
    return apt;
  }

  private constructor(folder: string, architecture: Architecture, progress: Progress, signal: AbortSignal | undefined) {
    this.remedy = `Add a source of Debian 12 (bookworm) for ${architecture}, or fetch without apt: --mirror https://deb.debian.org/debian`;
    this.folder = folder;
    this.#architecture = architecture;
    this.#progress = progress;
    this.#signal = signal;
    this.#configuration = join(folder, 'apt.conf');
  }

  /** Even if a source fails, the packages may be available. Throws TOOL_MISSING without apt. */
  async update(): Promise<string> {
    this.#progress(`Reading the package lists of the configured Debian sources (${this.#architecture})`);
    const { status, lastLines } = await this.#run('apt-get', '-q', 'update');
    return status === 0 ? '' : lastLines;
  }

  async show(name: string): Promise<PackageFields | undefined> {
    const { status, output } = await this.#run('apt-cache', 'show', '--no-all-versions', name);
    return status === 0 ? readFields(output) : undefined;
  }

  /** The names of all packages that begin with `prefix`. */
  async names(prefix: string): Promise<string[]> {
    const { output } = await this.#run('apt-cache', 'pkgnames', prefix);
    return output.split('\n').filter((name) => name !== '');
  }

  async download(names: readonly string[]): Promise<string[]> {
    this.#progress(`Downloading ${names.length > 3 ? `${names.length} packages` : names.join(' and ')}`);
    const { status, lastLines } = await this.#run('apt-get', '-q', 'download', ...names);
    if (status !== 0) throw failed(`apt-get download failed: ${lastLines}`, 'Check the network');
    const found = await readdir(this.folder);
    return names.map((name) => {
      const file = found.find((entry) => entry.startsWith(`${name}_`) && entry.endsWith('.deb'));
      if (file === undefined) throw failed(`apt-get download left no ${name}`, 'Try again');
      return join(this.folder, file);
    });
  }

  async downloadWithNeeds(names: readonly string[]): Promise<string[]> {
    this.#progress('Downloading the packages of the root file system');
    const words = ['-q', '-y', '--download-only', '--no-install-recommends', 'install', '?essential', ...names];
    const { status, lastLines } = await this.#run('apt-get', ...words);
    if (status !== 0) throw failed(`apt-get install --download-only failed: ${lastLines}`, 'Check the network');
    const archives = join(this.folder, 'cache/archives');
    return (await readdir(archives)).filter((name) => name.endsWith('.deb')).map((name) => join(archives, name));
  }

  async guestSources(): Promise<GuestSources> {
    const format = '$(REPO_URI) $(RELEASE) $(COMPONENT)';
    const targets = await this.#run(
      'apt-get',
      'indextargets',
      '--format',
      format,
      'Created-By: Packages',
      'Origin: Debian',
    );
    const configuration = await this.#run('apt-config', 'dump');
    return guestSources(targets.output, configuration.output);
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

function failed(fact: string, remedy: string): UpcallError {
  return new UpcallError('DOWNLOAD_FAILED', fact.trim().replace(/\.$/, ''), { remedy });
}
