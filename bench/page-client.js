// @ts-check
/**
 * A live page without a browser, in a process of its own: it receives what the server sends over a
 * real WebSocket.
 *
 * Called by: cases/live-page.js, its parent, which gets the message `open` and then sends what to
 * watch. The answer to each of these messages is about the time since the last one: the slot frames
 * per second by the server's clock, and the processor time that this process took.
 */

import { WebSocket } from 'ws';
import { product } from './product.js';

const { FrameOffset, framesIn } = await product('dashboard/protocol.js');

const [origin = '', token = ''] = process.argv.slice(2);
const socket = new WebSocket(`${origin.replace('http', 'ws')}/live`, { origin });
let frames = 0;
let firstMs = 0;
let lastMs = 0;
let before = process.cpuUsage();
socket.on('open', () => {
  socket.send(JSON.stringify({ kind: 'hello', token }));
  process.send?.('open');
});
socket.on('message', (/** @type {Buffer} */ data, isBinary) => {
  if (!isBinary) return;
  for (const { start } of framesIn(data)) {
    lastMs = data.readDoubleLE(start + FrameOffset.timeMs);
    // The first one is sent at once, not at the period of the others.
    if (++frames === 2) firstMs = lastMs;
  }
});
process.on('message', (/** @type {object} */ watch) => {
  const { user, system } = process.cpuUsage(before);
  process.send?.({
    framesPerSecond: frames < 3 ? 0 : ((frames - 2) * 1000) / (lastMs - firstMs),
    cpuUs: user + system,
  });
  frames = 0;
  before = process.cpuUsage();
  socket.send(JSON.stringify({ kind: 'watch', ...watch }));
});
process.on('disconnect', () => process.exit());
