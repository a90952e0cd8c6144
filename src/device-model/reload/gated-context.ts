/**
 * gatedContext: the DeviceContext of one generation of a reloaded device. Before the generation is
 * the current one, its outputs only remember their level. Once it was replaced, they are low, its
 * timers are cancelled, and nothing that it still does reaches the machine.
 *
 * Called by: reload-device.ts, before a device or card is created.
 */

import type { Clock, ClockTimer } from '../clock.js';
import type { InterruptLine } from '../device.js';
import type { DeviceContext } from '../placement/device-module.js';
import { GatedMemory } from './gated-memory.js';
import type { Gate } from './gate.js';
import type { SharedOutputs } from './shared-outputs.js';

const NO_TIMER: ClockTimer = { cancel: () => undefined };

export function gatedContext(context: DeviceContext, outputs: SharedOutputs, gate: Gate): DeviceContext {
  return {
    interruptLine: (gsi) => gatedLine(outputs.output(gsi), gate),
    memory: new GatedMemory(context.memory, gate),
    clock: gatedClock(context.clock, gate),
  };
}

function gatedLine(output: InterruptLine, gate: Gate): InterruptLine {
  let wanted = false;
  gate.whenOpened(() => output.set(wanted));
  gate.whenEnded(() => output.set(false));
  return {
    set: (high) => {
      wanted = high;
      if (gate.isOpen) output.set(high);
    },
  };
}

function gatedClock(clock: Clock, gate: Gate): Clock {
  const timers = new Set<ClockTimer>();
  gate.whenEnded(() => {
    for (const timer of timers) timer.cancel();
    timers.clear();
  });
  return {
    now: () => clock.now(),
    wallTimeMs: () => clock.wallTimeMs(),
    schedule: (atMs, callback) => {
      if (gate.isEnded) return NO_TIMER;
      const timer = clock.schedule(atMs, () => {
        timers.delete(handle);
        callback();
      });
      const handle: ClockTimer = {
        cancel: () => {
          timers.delete(handle);
          timer.cancel();
        },
      };
      timers.add(handle);
      return handle;
    },
  };
}
