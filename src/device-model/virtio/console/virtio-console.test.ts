import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { host } from '../../../host/current.js';
import { UpcallError } from '../../../io-request/upcall-error.js';
import { FakeDriver } from '../fixtures/fake-queue.js';
import { ConsoleConfig, ConsoleFeature, ConsoleQueue, ControlEvent, receiveQueueOf } from './console-layout.js';
import { TestBackend } from './fixtures/test-backend.js';
import { TURN_BYTES } from './port-output.js';
import { MAX_NAMED_PORTS, VirtioConsole } from './virtio-console.js';

const { RECEIVE, TRANSMIT, CONTROL_RECEIVE, CONTROL_TRANSMIT } = ConsoleQueue;
const { DEVICE_READY, PORT_ADD, PORT_REMOVE, PORT_READY, CONSOLE_PORT, RESIZE, PORT_OPEN, PORT_NAME } = ControlEvent;
const [AGENT, CLOSED] = [1, 2];

let terminal: TestBackend;
let agent: TestBackend;
let closed: TestBackend;
let device: VirtioConsole;
let driver: FakeDriver;
/** Messages of the device: port, event, value, and what follows. */
let messages: string[];

beforeEach(() => {
  terminal = new TestBackend();
  agent = new TestBackend();
  closed = new TestBackend({ isOpen: false });
  device = new VirtioConsole({
    console: terminal,
    ports: [
      { name: 'org.test.agent', backend: agent },
      { name: 'closed', backend: closed },
    ],
  });
  driver = new FakeDriver(device);
  messages = [];
});

/** Makes buffers available for messages of the device, which come to `messages`. */
function takeMessages(count = 32, bytes = 128): void {
  for (let n = 0; n < count; n++)
    void driver.send(CONTROL_RECEIVE, [], bytes).then((message) => {
      const view = Buffer.from(message);
      const more =
        event(view) === RESIZE ? `${view.readUInt16LE(8)}x${view.readUInt16LE(10)}` : view.toString('latin1', 8);
      messages.push(
        [view.readUInt32LE(0), event(view), view.readUInt16LE(6), ...(more === '' ? [] : [more])].join(' '),
      );
    });
}
const event = (message: Buffer): number => message.readUInt16LE(4);

function sendMessage(port: number, kind: number, value: number, bytes = 8): Promise<Uint8Array> {
  const message = Buffer.alloc(8);
  message.writeUInt32LE(port, 0);
  message.writeUInt16LE(kind, 4);
  message.writeUInt16LE(value, 6);
  return driver.send(CONTROL_TRANSMIT, message.subarray(0, bytes));
}

/** Resolves when what the device has done so far has reached the test. */
const settled = (): Promise<void> => host.turn();

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');
const bytesOf = (what: string): Uint8Array => Buffer.from(what, 'latin1');

describe('control messages', () => {
  /** The driver is ready and has got the ports. */
  async function beReady(): Promise<void> {
    takeMessages(3);
    await sendMessage(0, DEVICE_READY, 1);
    await settled();
    assert.equal(messages.splice(0).length, 3);
  }

  test('a driver that is ready learns of each port, and of its kind, name and state when that is ready', async () => {
    takeMessages();
    await sendMessage(0xffff_ffff, DEVICE_READY, 1);
    await settled();
    assert.deepEqual(messages.splice(0), [`0 ${PORT_ADD} 1`, `${AGENT} ${PORT_ADD} 1`, `${CLOSED} ${PORT_ADD} 1`]);
    for (const port of [0, AGENT, CLOSED]) await sendMessage(port, PORT_READY, 1);
    await settled();
    assert.deepEqual(messages, [
      `0 ${CONSOLE_PORT} 1`,
      `0 ${PORT_OPEN} 1`,
      `${AGENT} ${PORT_NAME} 1 org.test.agent`,
      `${AGENT} ${PORT_OPEN} 1`,
      `${CLOSED} ${PORT_NAME} 1 closed`,
    ]);
    assert.equal(device.counters.refusedMessages + device.counters.malformedBuffers, 0);
  });

  test('a driver or a port that has failed gets nothing', async () => {
    takeMessages();
    await sendMessage(0, DEVICE_READY, 0);
    await sendMessage(0, PORT_READY, 0);
    await settled();
    assert.deepEqual(messages, []);
  });

  test('a host side that opens and closes is reported, and what waits for a buffer says the last state', async () => {
    await beReady();
    closed.port.setOpen(true);
    closed.port.setOpen(false);
    closed.port.setOpen(true);
    assert.equal(device.waitingMessages, 1);
    takeMessages(1);
    closed.port.setOpen(false);
    takeMessages(1);
    await settled();
    assert.deepEqual(messages, [`${CLOSED} ${PORT_OPEN} 1`, `${CLOSED} ${PORT_OPEN} 0`]);
  });

  test('the size follows as columns and rows, with a change of the configuration', async () => {
    await beReady();
    takeMessages();
    device.resize(132, 43);
    await settled();
    assert.deepEqual(messages.splice(0), [`0 ${RESIZE} 0 132x43`]);
    assert.equal(driver.configChanges, 1);
    const config = Buffer.from(device.config);
    assert.deepEqual([config.readUInt16LE(ConsoleConfig.COLUMNS), config.readUInt16LE(ConsoleConfig.ROWS)], [132, 43]);
    assert.equal(config.readUInt32LE(ConsoleConfig.MAX_PORTS), 3);
    await sendMessage(0, PORT_READY, 1);
    await settled();
    assert.deepEqual(messages, [`0 ${CONSOLE_PORT} 1`, `0 ${RESIZE} 0 132x43`, `0 ${PORT_OPEN} 1`]);
  });

  test('a driver without the size feature gets no size', async () => {
    driver.reset();
    driver = new FakeDriver(device, [ConsoleFeature.MULTIPORT]);
    await beReady();
    takeMessages();
    device.resize(132, 43);
    await sendMessage(0, PORT_READY, 1);
    await settled();
    assert.deepEqual(messages, [`0 ${CONSOLE_PORT} 1`, `0 ${PORT_OPEN} 1`]);
    assert.equal(driver.configChanges, 0);
  });

  test('a port that is unplugged is removed, and is not there for the next driver', async () => {
    takeMessages();
    await sendMessage(0, DEVICE_READY, 1);
    await settled();
    messages = [];
    agent.port.unplug();
    await settled();
    assert.deepEqual(messages.splice(0), [`${AGENT} ${PORT_REMOVE} 1`]);
    await driver.send(receiveQueueOf(AGENT) + 1, bytesOf('lost'));
    assert.equal(agent.text, '');
    assert.equal(device.counters.droppedBytes, 4);
    driver.reset();
    driver = new FakeDriver(device);
    takeMessages();
    await sendMessage(0, DEVICE_READY, 1);
    await sendMessage(AGENT, PORT_READY, 1);
    await settled();
    assert.deepEqual(messages, [`0 ${PORT_ADD} 1`, `${CLOSED} ${PORT_ADD} 1`]);
  });

  test('a port that is unplugged before the driver got it is not mentioned', async () => {
    await sendMessage(0, DEVICE_READY, 1);
    agent.port.unplug();
    takeMessages();
    await settled();
    assert.deepEqual(messages, [`0 ${PORT_ADD} 1`, `${CLOSED} ${PORT_ADD} 1`]);
  });

  test('a driver that is not ready yet gets no message of any port', async () => {
    takeMessages();
    agent.port.setOpen(false);
    agent.port.setOpen(true);
    device.resize(100, 40);
    agent.port.unplug();
    await sendMessage(0, PORT_READY, 1);
    await settled();
    assert.deepEqual(messages, []);
    await sendMessage(0, DEVICE_READY, 1);
    await settled();
    assert.deepEqual(messages, [`0 ${PORT_ADD} 1`, `${CLOSED} ${PORT_ADD} 1`]);
  });

  test('messages that are short, unknown or of no port are given back, counted, and change nothing', async () => {
    takeMessages();
    for (let bytes = 0; bytes < 8; bytes++) assert.equal((await sendMessage(AGENT, PORT_READY, 1, bytes)).length, 0);
    assert.equal(device.counters.malformedBuffers, 8);
    for (const [port, kind] of [
      [3, PORT_READY],
      [0xffff_ffff, PORT_OPEN],
      [0, PORT_ADD],
      [AGENT, PORT_NAME],
      [0, 8],
      [0, 0xffff],
    ] as const)
      await sendMessage(port, kind, 1);
    await settled();
    assert.equal(device.counters.refusedMessages, 6);
    assert.deepEqual(messages, []);
    assert.equal(driver.failure, undefined);
  });

  test('a driver that asks without end and takes no message makes a bounded number wait', async () => {
    for (let n = 0; n < 1000; n++) {
      await sendMessage(0, DEVICE_READY, 1);
      for (const port of [0, AGENT, CLOSED]) await sendMessage(port, PORT_READY, 1);
      device.resize(80 + n, 24);
    }
    // Three PORT_ADD, then what describes the ports.
    assert.equal(device.waitingMessages, 3 + 3 + 2 + 1);
  });

  test('buffers that are too small for a message are given back, and the message waits', async () => {
    await beReady();
    const small = driver.send(CONTROL_RECEIVE, [], 7);
    agent.port.setOpen(false);
    assert.equal((await small).length, 0);
    assert.equal(device.counters.malformedBuffers, 1);
    takeMessages(1);
    await settled();
    assert.deepEqual(messages, [`${AGENT} ${PORT_OPEN} 0`]);
  });

  test('buffers that are useless and added as fast as they are taken get turns of the event loop', async () => {
    await beReady();
    const queue = driver.queues[CONTROL_RECEIVE];
    assert.ok(queue !== undefined);
    let isAdding = true;
    const add = (): void => void queue.add([], 1).then(() => undefined);
    const pop = queue.pop.bind(queue);
    let popped = 0;
    queue.pop = () => {
      popped++;
      if (isAdding) add();
      return pop();
    };
    agent.port.setOpen(false);
    assert.equal(popped, queue.size);
    await settled();
    assert.equal(popped, 2 * queue.size);
    isAdding = false;
    takeMessages(1);
    while (messages.length === 0) await settled();
    assert.deepEqual(messages, [`${AGENT} ${PORT_OPEN} 0`]);
  });
});

describe('what the guest writes', () => {
  test('goes to the other end of its port', async () => {
    assert.equal((await driver.send(TRANSMIT, bytesOf('login: '))).length, 0);
    await driver.send(receiveQueueOf(AGENT) + 1, bytesOf('{"ok":1}'), 16);
    assert.deepEqual([terminal.text, agent.text, closed.text], ['login: ', '{"ok":1}', '']);
    assert.equal(device.counters.outputBytes, 15);
  });

  test('waits in its buffer while the host does not take it, and other ports go on', async () => {
    terminal.limit = 3;
    let isBack = false;
    const used = driver.send(TRANSMIT, bytesOf('abcdef')).then(() => (isBack = true));
    const next = driver.send(TRANSMIT, bytesOf('gh'));
    await driver.send(receiveQueueOf(AGENT) + 1, bytesOf('other'));
    assert.equal(agent.text, 'other');
    assert.deepEqual([terminal.text, isBack], ['abc', false]);
    assert.equal(driver.queues[TRANSMIT]?.availableCount, 1, 'nothing more is taken');
    terminal.takeMore(1);
    terminal.takeMore(0);
    await settled();
    assert.deepEqual([terminal.text, isBack], ['abcd', false]);
    terminal.takeMore();
    await Promise.all([used, next]);
    assert.equal(terminal.text, 'abcdefgh');
  });

  test('is dropped and counted while nothing is at the other end, also what waited', async () => {
    await driver.send(receiveQueueOf(CLOSED) + 1, bytesOf('nothing'));
    assert.equal(device.counters.droppedBytes, 7);
    agent.limit = 2;
    const used = driver.send(receiveQueueOf(AGENT) + 1, bytesOf('abcd'));
    agent.port.setOpen(false);
    await used;
    assert.equal(agent.text, 'ab');
    assert.equal(device.counters.droppedBytes, 9);
  });

  test('is given in turns of the event loop if a buffer is long', async () => {
    const bytes = new Uint8Array(3 * TURN_BYTES + 5).map((_, index) => index % 251);
    const used = driver.send(TRANSMIT, bytes);
    assert.equal(terminal.received.length, TURN_BYTES);
    void driver.send(TRANSMIT, bytesOf('end'));
    assert.equal(terminal.received.length, TURN_BYTES, 'a notification does not renew it');
    await used;
    await settled();
    assert.deepEqual(terminal.received, [...bytes, ...bytesOf('end')]);
  });

  test('is given on if the host makes room, or closes, while it takes bytes', async () => {
    const write = terminal.write.bind(terminal);
    terminal.limit = 2;
    terminal.write = (bytes) => {
      const taken = write(bytes);
      if (terminal.limit === 0) terminal.takeMore(2);
      return taken;
    };
    await driver.send(TRANSMIT, bytesOf('abcdef'));
    assert.equal(terminal.text, 'abcdef');
    terminal.write = (bytes) => {
      terminal.port.setOpen(false);
      return write(bytes.subarray(0, 1));
    };
    terminal.limit = Infinity;
    await driver.send(TRANSMIT, bytesOf('xyz'));
    assert.equal(terminal.text, 'abcdefx');
    assert.equal(device.counters.droppedBytes, 2);
  });

  test('nothing is written after a reset, and the next driver starts afresh', async () => {
    terminal.limit = 1;
    void driver.send(TRANSMIT, bytesOf('abc'));
    driver.reset();
    terminal.takeMore();
    void driver.send(TRANSMIT, bytesOf('lost'));
    assert.equal(terminal.text, 'a');
    driver = new FakeDriver(device);
    await driver.send(TRANSMIT, bytesOf('new'));
    assert.equal(terminal.text, 'anew');
  });

  test('a buffer without bytes is given back and counted', async () => {
    await driver.send(TRANSMIT, [], 4);
    assert.equal(device.counters.malformedBuffers, 1);
  });

  test('the emergency write prints a character without a driver', () => {
    driver.reset();
    for (const character of bytesOf('oops')) device.writeConfig(ConsoleConfig.EMERGENCY_WRITE, 4, character + 0x100);
    device.writeConfig(ConsoleConfig.COLUMNS, 2, 7);
    assert.equal(terminal.text, 'oops');
    assert.equal(device.counters.emergencyCharacters, 4);
    assert.equal(device.config[ConsoleConfig.COLUMNS], 0);
  });
});

describe('what the host sends', () => {
  test('fills the buffers of the port, once a program of the guest has opened it', async () => {
    const first = driver.send(receiveQueueOf(AGENT), [], 4);
    assert.equal(agent.type('hello'), 'hello');
    assert.equal(agent.rooms, 0);
    await sendMessage(AGENT, PORT_OPEN, 1);
    assert.equal(agent.rooms, 1);
    assert.equal(agent.type('hello'), 'o');
    assert.equal(text(await first), 'hell');
    const second = driver.send(receiveQueueOf(AGENT), [], 4);
    assert.equal(agent.rooms, 2);
    assert.equal(agent.type('o'), '');
    assert.equal(text(await second), 'o');
    assert.equal(device.counters.inputBytes, 5);
    void driver.send(receiveQueueOf(AGENT), [], 4);
    assert.equal(agent.rooms, 2, 'nothing waited');
    await sendMessage(AGENT, PORT_OPEN, 0);
    assert.equal(agent.type('more'), 'more');
  });

  test('a port that is not read does not stop the other one', async () => {
    for (const port of [0, AGENT]) await sendMessage(port, PORT_OPEN, 1);
    assert.equal(agent.type('stuck'), 'stuck');
    const used = driver.send(RECEIVE, [], 8);
    assert.equal(terminal.type('key'), '');
    assert.equal(text(await used), 'key');
  });

  test('a host side that waits is woken by the next driver', async () => {
    await sendMessage(AGENT, PORT_OPEN, 1);
    agent.type('stuck');
    driver.reset();
    assert.equal(agent.type('stuck'), 'stuck');
    driver = new FakeDriver(device);
    await sendMessage(AGENT, PORT_OPEN, 1);
    assert.equal(agent.rooms, 1);
  });

  test('that waits in the driver of before is not forgotten by a reset', async () => {
    await sendMessage(AGENT, PORT_OPEN, 1);
    agent.type('stuck');
    driver.reset();
    driver = new FakeDriver(device);
    await sendMessage(AGENT, PORT_OPEN, 1);
    assert.equal(agent.rooms, 1);
  });

  test('buffers without room are given back, counted and followed by a turn of the event loop', async () => {
    await sendMessage(AGENT, PORT_OPEN, 1);
    const queue = driver.queues[receiveQueueOf(AGENT)];
    assert.ok(queue !== undefined);
    for (let n = 0; n <= queue.size; n++) void queue.add([1], 0);
    assert.equal(agent.type('x'), 'x');
    assert.equal(device.counters.malformedBuffers, queue.size);
    assert.equal(agent.rooms, 0);
    await settled();
    assert.equal(agent.rooms, 1);
  });
});

describe('a driver without several ports', () => {
  beforeEach(() => {
    driver.reset();
    driver = new FakeDriver(device, [ConsoleFeature.SIZE]);
  });

  test('has the console, which is open, and no messages', async () => {
    const used = driver.send(RECEIVE, [], 8);
    terminal.type('key');
    assert.equal(text(await used), 'key');
    await driver.send(TRANSMIT, bytesOf('out'));
    assert.equal(terminal.text, 'out');
    device.resize(100, 30);
    assert.equal(driver.configChanges, 1);
    void sendMessage(0, DEVICE_READY, 1);
    void driver.send(receiveQueueOf(AGENT) + 1, bytesOf('no'));
    assert.equal(agent.text, '');
    assert.equal(device.waitingMessages, 0);
    assert.equal(agent.type('no'), 'no');
  });
});

describe('a console', () => {
  test('without a terminal has ports with names only', async () => {
    device = new VirtioConsole({ ports: [{ name: 'only', backend: agent }] });
    driver = new FakeDriver(device);
    takeMessages();
    device.resize(80, 24);
    device.writeConfig(ConsoleConfig.EMERGENCY_WRITE, 1, 65);
    await sendMessage(0, DEVICE_READY, 1);
    await sendMessage(0, PORT_READY, 1);
    await settled();
    assert.deepEqual(messages, [`1 ${PORT_ADD} 1`]);
    assert.equal(device.queueSizes.length, 6);
  });

  test('closes its backends', async () => {
    driver.reset();
    device.close();
    await device.closed;
    assert.deepEqual([terminal.isClosed, agent.isClosed, closed.isClosed], [true, true, true]);
  });

  test('refuses wrong names, two ports of one name, and more ports than it has', () => {
    const invalid = (...names: string[]) =>
      assert.throws(
        () => new VirtioConsole({ ports: names.map((name) => ({ name, backend: new TestBackend() })) }),
        (error) => error instanceof UpcallError && error.code === 'OPTION_INVALID',
      );
    for (const name of ['', '.', '..', 'a/b', 'a b', 'ä', 'x'.repeat(65)]) invalid(name);
    invalid('twice', 'twice');
    invalid(...Array.from({ length: MAX_NAMED_PORTS + 1 }, (_, index) => `port${index}`));
  });
});
