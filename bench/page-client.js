// @ts-check
/**
 * A page without a browser, in a process of its own: it takes what the live view's server sends, over a real WebSocket. Its
 * parent says which of it to watch and hears how many frames of the slots there were,
 * and how much processor time they took here.
 */

import { WebSocket } from 'ws';
import { product } from './product.js';

const { framesIn } = await product('dashboard/protocol.js');

const [origin = '', token = ''] = process.argv.slice(2);
const socket = new WebSocket(`${origin.replace('http', 'ws')}/live`, { origin });
let frames = 0;
let before = process.cpuUsage();
socket.on('open', () => {
  socket.send(JSON.stringify({ kind: 'hello', token }));
  process.send?.('open');
});
socket.on('message', (/** @type {Buffer} */ data, isBinary) => {
  if (isBinary) frames += framesIn(data).length;
});
process.on('message', (/** @type {object} */ watch) => {
  const { user, system } = process.cpuUsage(before);
  process.send?.({ frames, cpuUs: user + system });
  frames = 0;
  before = process.cpuUsage();
  socket.send(JSON.stringify({ kind: 'watch', ...watch }));
});
process.on('disconnect', () => process.exit());
