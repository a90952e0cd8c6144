/**
 * HsmScript: runs the commands of a script against this project's HSM, in one thread.
 *
 * conformance/driver has the answers of Linux's own driver to the same commands, which tests
 * compare. conformance/README.md has the commands and the format of the output.
 *
 * Called by: tests, and hsm-script-main.ts for files and standard input.
 *
 * A script that begins with `vm` creates bare VMs. One that begins with `ioctl` or `user` is a
 * process with an open control file. All other commands are the same for both.
 */

import { INVALID_VM_ID } from '../vm/service-vm.js';
import { clientCommand } from './client-commands.js';
import { ControlProcess, type MachineHooks, type ScriptMachine } from './control-process.js';
import { hex } from '../io-request/io-request.js';
import type { ScriptAnswer, ScriptExtra, ScriptResult } from './script-answer.js';
import { ScriptWords } from './script-words.js';
import { clientsOf, ScriptStage, type ScriptVm, type ScriptWorld } from './script-world.js';
import { ScriptedVms } from './scripted-vms.js';
import { slotCommand } from './slot-commands.js';

/** Linux's own limit. */
const MAX_ERRNO = 4095;

export class HsmScript {
  readonly #stage = new ScriptStage();
  readonly #createMachine: ((hooks: MachineHooks) => ScriptMachine) | undefined;
  #world: ScriptWorld | undefined;

  /** `createMachine`: what a process with an open control file runs on. Default: localMachine. */
  constructor(createMachine?: (hooks: MachineHooks) => ScriptMachine) {
    this.#createMachine = createMachine;
  }

  /**
   * Resolves to undefined for an empty line or a comment. Rejects with UpcallError if the line is
   * not a command.
   */
  async command(line: string): Promise<ScriptAnswer | undefined> {
    const words = new ScriptWords(line);
    if (!words.hasMore) return undefined;
    const op = words.word('a command');
    const stage = this.#stage;
    const world = (this.#world ??= this.#begin(op, words));
    stage.events = [];
    const extra: ScriptExtra = {};
    const ret = await this.#do(op, words, extra, world);
    await world.settle();
    return { op, ret, events: stage.events, ...shown(world.vm), ...extra };
  }

  #begin(op: string, words: ScriptWords): ScriptWorld {
    if (op === 'vm') return new ScriptedVms(this.#stage);
    if (op === 'ioctl' || op === 'user') return new ControlProcess(this.#stage, this.#createMachine);
    throw words.error('the first command of a script is vm, user or an ioctl');
  }

  #do(op: string, words: ScriptWords, extra: ScriptExtra, world: ScriptWorld): ScriptResult | Promise<ScriptResult> {
    const { module } = world;
    const own = world.command(op, words, extra) ?? this.#setting(op, words, world);
    if (own !== undefined) return own;
    const { vm } = world;
    if (vm === undefined) throw words.error('there is no VM at present');
    const result = slotCommand(op, words, vm, extra) ?? clientCommand(op, words, vm, this.#stage, module);
    if (result === undefined) throw words.error(`there is no command ${op} in such a script`);
    return result;
  }

  /** The commands of both kinds of script that need no VM. */
  #setting(op: string, words: ScriptWords, { module }: ScriptWorld): number | undefined {
    const stage = this.#stage;
    switch (op) {
      case 'upcall':
        words.end();
        module.worker.pass();
        return 0;
      case 'onsleep':
        stage.runsInSleep = words.oneOf('what happens', ['run', 'none']) === 'run';
        words.end();
        return 0;
      case 'hcallfail':
        stage.notifyResult = words.integer('a result', -MAX_ERRNO, 0);
        words.end();
        return 0;
      default:
        return undefined;
    }
  }
}

/** What each line of output shows of the current VM. */
function shown(vm: ScriptVm | undefined): Pick<ScriptAnswer, 'vm' | 'states' | 'maps' | 'cf8'> {
  if (vm === undefined) return { vm: INVALID_VM_ID, states: [], maps: {}, cf8: '0x0' };
  const { id, vcpus, buffer, requests } = vm;
  return {
    vm: id,
    states: buffer.slots.slice(0, vcpus).map((slot) => slot.state),
    maps: Object.fromEntries(clientsOf(vm).map((client) => [client.name, hex(requests.assignments.slotsOf(client))])),
    cf8: hex(requests.pciConfig.address),
  };
}
