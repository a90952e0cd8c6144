// @ts-check
/** What the trace costs a request's four moves, in one thread, without the hand-overs: `npm run build && node bench/trace-moves.js`. */

import { SharedBuffer } from '../dist/io-request/shared-buffer.js';
import { MoveRecorder } from '../dist/trace/move-recorder.js';
import { TraceRing } from '../dist/trace/trace-ring.js';

const BATCHES = 2000;
const REQUESTS = 1000;

/** A recorder without a clock, to see what the stamps cost. */
class Unstamped extends MoveRecorder {
  /** @override */
  moved() {}
}

/** @param {string} name @param {MoveRecorder | undefined} watcher */
function measure(name, watcher) {
  const slot = new SharedBuffer().slot(0);
  slot.watcher = watcher;
  const request = () => {
    slot.fill(0, 0, 0x500, 0, 1, 0, 0, false);
    slot.assign(true);
    slot.setValue(1);
    slot.complete();
    slot.release();
  };
  let bestNs = Infinity;
  for (let batch = 0; batch < BATCHES; batch++) {
    const since = performance.now();
    for (let i = 0; i < REQUESTS; i++) request();
    bestNs = Math.min(bestNs, ((performance.now() - since) * 1e6) / REQUESTS);
  }
  console.log(`${name.padEnd(28)} ${bestNs.toFixed(0).padStart(5)} ns`);
}

const ring = new TraceRing();
measure('no watcher', undefined);
measure('trace off', new MoveRecorder(ring));
ring.isOn = true;
measure('trace on, without stamps', new Unstamped(ring));
measure('trace on', new MoveRecorder(ring));
