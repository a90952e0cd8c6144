/**
 * The device of a client with a thread of its own. program.ts gives it to the shipped device thread
 * in place of a device module.
 */

import type { Device } from '../../device-model/device.js';
import { actorNote } from './actor-notes.js';
import { answerOf, firstPortOf } from './world.js';

export interface ExploredDeviceOptions {
  readonly vm: number;
  readonly client: number;
}

export function exploredDevice({ vm, client }: ExploredDeviceOptions): Device {
  return {
    name: `device ${client}`,
    read: (offset) => {
      const port = firstPortOf(vm, client) + offset;
      actorNote('serves', vm, client, port);
      return answerOf(client, port);
    },
    write: () => undefined,
  };
}
