import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../device-model/clock.js';
import type { NetworkPort, NetworkReceiver } from '../device-model/network/network-port.js';
import { FaultInjection } from './fault-injection.js';
import { MAX_LATE_FRAMES } from './faulty-port.js';

const nothing = (): void => undefined;
const FRAME_BYTES = 60;
const frame = (number: number): Uint8Array => new Uint8Array(FRAME_BYTES).fill(number);
const turns = async (): Promise<void> => {
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
};

/** A card called virtio-net at a cable whose other end is the test. */
class Cable implements NetworkPort {
  readonly clock = new ManualClock();
  readonly faults: FaultInjection;
  readonly card: NetworkPort;
  /** First bytes of the frames that came out at each end. */
  readonly sent: number[] = [];
  readonly received: number[] = [];
  readonly frames: Uint8Array[] = [];
  readonly records: string[] = [];
  isUp = false;
  isClosed = false;
  #receiver: NetworkReceiver | undefined;

  constructor(...rules: string[]) {
    const { clock } = this;
    const emit = ({ request }: { readonly request?: string }): void => void this.records.push(request ?? '');
    this.faults = new FaultInjection({ seed: 1, rules }, { clock, emit, remove: nothing, fail: nothing });
    this.card = this.faults.network('virtio-net', this);
    this.card.connect({
      receive: (bytes) => {
        this.received.push(bytes[0] as number);
        this.frames.push(bytes.slice());
      },
      setLink: (isUp) => (this.isUp = isUp),
    });
  }

  connect(receiver: NetworkReceiver): void {
    this.#receiver = receiver;
    receiver.setLink(true);
  }

  send(bytes: Uint8Array): void {
    this.sent.push(bytes[0] as number);
  }

  close(): Promise<void> {
    this.isClosed = true;
    return Promise.resolve();
  }

  arrive(bytes: Uint8Array): void {
    this.#receiver?.receive(bytes);
  }
}

test('frames that no rule selects pass, and so does the state of the link', async () => {
  const cable = new Cable('net=other: drop');
  cable.card.send(frame(1));
  cable.arrive(frame(2));
  assert.deepEqual([cable.sent, cable.received, cable.isUp], [[1], [2], true]);
  await cable.card.close();
  assert.equal(cable.isClosed, true);
});

test('frames are lost in the way that the rule names', () => {
  const cable = new Cable('net=virtio-net receive every=2: drop');
  for (let number = 1; number <= 4; number++) {
    cable.card.send(frame(number));
    cable.arrive(frame(number));
  }
  assert.deepEqual(
    [cable.sent, cable.received],
    [
      [1, 2, 3, 4],
      [1, 3],
    ],
  );
  assert.deepEqual(cable.records, Array(2).fill('receive a frame of 60 bytes'));
});

test('a late frame comes behind those that follow it, and a second one again', async () => {
  const cable = new Cable('net=virtio-net send times=1: delay=5ms', 'net=virtio-net receive times=1: duplicate=2ms');
  const bytes = frame(1);
  cable.card.send(bytes);
  bytes.fill(9);
  cable.card.send(frame(2));
  cable.arrive(frame(3));
  cable.arrive(frame(4));
  assert.deepEqual([cable.sent, cable.received], [[2], [3, 4]]);
  cable.clock.advance(2);
  await turns();
  assert.deepEqual(cable.received, [3, 4, 3]);
  cable.clock.advance(3);
  await turns();
  assert.deepEqual(cable.sent, [2, 1]);
});

test('one bit is flipped, and the sender’s bytes stay', () => {
  const cable = new Cable('net=virtio-net: flip');
  const bytes = new Uint8Array(FRAME_BYTES);
  cable.arrive(bytes);
  assert.ok(bytes.every((byte) => byte === 0));
  const changed = (cable.frames[0] as Uint8Array).filter((byte) => byte !== 0);
  assert.equal(changed.length, 1);
  assert.ok(Number.isInteger(Math.log2(changed[0] as number)));
});

test('late frames are bounded, and none comes after the port is closed', async () => {
  const cable = new Cable('net=virtio-net send: delay=1s');
  for (let number = 0; number < MAX_LATE_FRAMES + 5; number++) cable.card.send(frame(1));
  cable.clock.advance(1000);
  await turns();
  assert.equal(cable.sent.length, MAX_LATE_FRAMES);
  cable.card.send(frame(2));
  await cable.card.close();
  cable.faults.reset();
  await turns();
  assert.equal(cable.sent.length, MAX_LATE_FRAMES);
});
