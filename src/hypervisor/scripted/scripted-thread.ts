/** The thread of a scripted vCPU. Started by: ThreadedVm, as ScriptedHypervisor's `entry`. */

import { serveVcpu } from '../vcpu-thread.js';
import { ScriptPlayer } from './script-player.js';
import type { Script } from './script.js';

await serveVcpu(({ program, handler, shared, report }) => ({
  program: new ScriptPlayer(program as Script, handler, shared, report),
}));
