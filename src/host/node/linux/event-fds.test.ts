import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import { openEventFds } from './event-fds.js';

const fds = openEventFds();
const skip = fds === undefined ? 'eventfds need Linux and the package koffi' : false;

test('the eventfds that have a signal are found among several', { skip }, () => {
  assert.ok(fds !== undefined);
  const all = [fds.create(), fds.create(), fds.create()];
  const [first, second, third] = all as [number, number, number];
  assert.deepEqual([fds.readableOf([]), fds.readableOf(all)], [[], []]);
  fds.write(first);
  fds.write(third);
  fds.write(third);
  assert.deepEqual(fds.readableOf([third, second, first]), [third, first]);
  assert.deepEqual([fds.read(third), fds.read(second)], [2n, 0n]);
  assert.deepEqual(fds.readableOf(all), [first]);
  fds.close(second);
  // Its number is no descriptor any more.
  assert.deepEqual(fds.readableOf(all), [first]);
  fds.close(first);
  fds.close(third);
});

/** Runs in a process of its own, which a call that waits would keep: then the status is null. */
function statusOf(script: string): number | null {
  const imports = `
    import { openEventFds } from '${new URL('event-fds.js', import.meta.url).href}';
    import { requireLibc } from '${new URL('libc.js', import.meta.url).href}';
    const fds = openEventFds();
    const libc = requireLibc();
  `;
  const args = ['--input-type=module', '--eval', `${imports}${script}`];
  return spawnSync(process.execPath, args, { timeout: 20_000, stdio: ['ignore', 'ignore', 'inherit'] }).status;
}

test('an eventfd whose other owners made it wait does not make a call wait', { skip }, () => {
  const script = `
    const fd = fds.create();
    // F_SETFL without O_NONBLOCK, after the descriptor was accepted.
    if (!fds.adopt(fd)) process.exit(2);
    libc.func('int fcntl(int fd, int command, int argument)')(fd, 4, 0);
    if (fds.read(fd) !== 0n) process.exit(3);
    const full = new Uint8Array(8).fill(0xff);
    full[0] = 0xfe;
    if (Number(libc.func('int64_t write(int fd, const uint8_t *bytes, size_t n)')(fd, full, 8)) !== 8) process.exit(4);
    fds.write(fd);
    fds.write(fd);
    process.exit(fds.read(fd) === 0xffff_ffff_ffff_ffffn && fds.read(fd) === 0n ? 0 : 5);
  `;
  assert.equal(statusOf(script), 0);
});

test('a thread has one set of calls, however often it asks', { skip }, () => {
  const before = readdirSync('/proc/self/fd').length;
  for (let asked = 0; asked < 20; asked++) assert.equal(openEventFds(), fds);
  assert.equal(readdirSync('/proc/self/fd').length, before);
});

test('each of many signals is counted', { skip }, () => {
  assert.ok(fds !== undefined);
  const fd = fds.create();
  for (let signal = 0; signal < 300; signal++) fds.write(fd);
  assert.deepEqual([fds.read(fd), fds.read(fd)], [300n, 0n]);
  fds.close(fd);
});

test('a socket that a program passed is closed without waiting for what it has not sent', { skip }, () => {
  const script = `
    import net from 'node:net';
    const server = net.createServer({ pauseOnConnect: true }).listen(0, '127.0.0.1', () => {
      const socket = net.connect(server.address().port, '127.0.0.1', () => {
        while (socket.write(Buffer.alloc(1 << 20)));
        setImmediate(() => {
          const fd = Number(libc.func('int dup(int fd)')(socket._handle.fd));
          // SO_LINGER of 60 s.
          const linger = Int32Array.of(1, 60);
          libc.func('int setsockopt(int fd, int level, int name, const void *value, uint n)')(fd, 1, 13, linger, 8);
          socket.on('close', () => setImmediate(() => {
            fds.close(fd);
            process.exit(0);
          }));
          socket.destroy();
        });
      });
    });
  `;
  assert.equal(statusOf(script), 0);
});
