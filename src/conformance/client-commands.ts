/**
 * Commands of conformance scripts that create, change, run and destroy I/O clients of the current
 * VM. conformance/README.md describes them.
 *
 * Called by: HsmScript (hsm-script.ts) for each line.
 */

import { Errno } from '../io-request/errno.js';
import { addressRange } from '../hsm/address-range.js';
import type { IoClient } from '../hsm/io-client.js';
import type { HypervisorServiceModule } from '../hsm/service-module.js';
import { IoRequestType } from '../io-request/layout.js';
import { KernelClient, type HandlerMode } from './kernel-client.js';
import type { ScriptWords } from './script-words.js';
import { clientsOf, type ScriptStage, type ScriptVm } from './script-world.js';

/** Linux' own limit. */
const MAX_ERRNO = 4095;

/**
 * Returns the result of the command, 0 or −errno. Undefined if `op` is not one of these commands.
 * Throws UpcallError for invalid words.
 */
export function clientCommand(
  op: string,
  words: ScriptWords,
  vm: ScriptVm,
  stage: ScriptStage,
  module: HypervisorServiceModule,
): number | undefined {
  switch (op) {
    case 'client':
      vm.requests.clients.add(new KernelClient(newName(words, vm), handlerMode(words)));
      return 0;
    case 'mode':
      kernelClient(words, vm).mode = handlerMode(words, { isRequired: true });
      return 0;
    case 'default':
      return createDefault(words, vm);
    case 'add':
    case 'del':
      return changeRange(op, words, vm, stage);
    case 'run': {
      const client = kernelClient(words, vm);
      words.end();
      client.run(vm.requests, stage.events);
      return 0;
    }
    case 'runall':
      words.end();
      stage.runAll(vm);
      return 0;
    case 'destroy': {
      const client = anyClient(words, vm);
      words.end();
      module.destroyClient(vm.requests, client);
      // The driver queues its worker after it has destroyed a client.
      module.worker.pass();
      return 0;
    }
    default:
      return undefined;
  }
}

function createDefault(words: ScriptWords, vm: ScriptVm): number {
  const { requests } = vm;
  const name = requests.clients.default === undefined ? newName(words, vm) : words.word('a name');
  words.end();
  return requests.clients.addDefault({ name, notify: () => undefined });
}

function changeRange(op: 'add' | 'del', words: ScriptWords, vm: ScriptVm, stage: ScriptStage): number {
  const client = anyClient(words, vm);
  const type = words.oneOf('the range type', ['pio', 'mmio']) === 'pio' ? IoRequestType.PORT : IoRequestType.MMIO;
  const start = words.u64('a start');
  const end = words.u64('an end');
  words.end();
  if (end < start) {
    // DEL needs an equal range, and no range ends before it starts.
    if (op === 'del') return 0;
    stage.events.push({ log: 'bad-range' });
    return Errno.EINVAL;
  }
  const { requests } = vm;
  if (op === 'del') requests.clients.removeRange(client, addressRange(type, start, end));
  // The default client gets every request, so its ranges are ignored.
  else if (client !== requests.clients.default && !requests.clients.addRange(client, addressRange(type, start, end)))
    throw words.error('the VM has no free range left');
  return 0;
}

function anyClient(words: ScriptWords, vm: ScriptVm): IoClient {
  const name = words.word('a name');
  const client = clientsOf(vm).find((candidate) => candidate.name === name);
  if (client === undefined) throw words.error(`VM ${vm.id} has no client ${name}`);
  return client;
}

function kernelClient(words: ScriptWords, vm: ScriptVm): KernelClient {
  const client = anyClient(words, vm);
  if (client instanceof KernelClient) return client;
  throw words.error(`${client.name} was not created by the script`);
}

/** A name must be unique, because it is a key of `maps`. */
function newName(words: ScriptWords, vm: ScriptVm): string {
  const name = words.word('a name');
  if (clientsOf(vm).some((client) => client.name === name))
    throw words.error(`VM ${vm.id} already has a client ${name}`);
  return name;
}

/**
 * The words after a client's name: `ok`, `value HEX`, `fail ERRNO`. Without them `ok`, or an error
 * if they are required.
 */
function handlerMode(words: ScriptWords, { isRequired } = { isRequired: false }): HandlerMode {
  let mode: HandlerMode = { kind: 'address' };
  if (words.hasMore || isRequired) {
    const kind = words.oneOf('the handler mode', ['ok', 'value', 'fail']);
    if (kind === 'value') mode = { kind, value: words.u64('a value') };
    else if (kind === 'fail') mode = { kind, errno: words.integer('an errno', 0, MAX_ERRNO) };
  }
  words.end();
  return mode;
}
