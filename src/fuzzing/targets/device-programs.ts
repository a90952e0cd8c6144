/**
 * Target "devices": random register programs for each standard device. The program also moves the
 * clock, in steps or in one jump as after a suspend of the host.
 *
 * Called by: campaigns (campaign.ts), through FUZZ_TARGETS.
 *
 * Properties: no device throws, values fit the access size, the work per access and the timers are
 * bounded, and a reset restores the state of a new device.
 */

import type { AccessSize } from '../../device-model/device.js';
import { expect, type FuzzTarget } from '../fuzz-target.js';
import { FuzzInput } from '../fuzz-input.js';
import { FuzzClock } from './fuzz-clock.js';
import { DEVICE_SETS, type DeviceSet, type MadeDevices } from './standard-devices.js';

// Limits, each several times what the devices need.
/** For one access: timers set, calls that set the interrupt line, bytes of output. */
const MAX_TIMERS_SET = 8;
const MAX_LINE_MOVES = 16;
const MAX_OUTPUT = 4;
/** Limit of pending timers. */
const MAX_PENDING = 3;
/** Limits of timer callbacks: for one jump of any length, and per millisecond of a walk. */
const MAX_CALLBACKS = 64;
const MAX_CALLBACKS_EACH_MS = 16;
/** Reads of each register: some return a sequence of bytes. */
const READS_AFTER_RESET = 32;
const SIZES: readonly AccessSize[] = [1, 2, 4];
const VALUES = [
  0, 1, 2, 3, 0x10, 0x20, 0x36, 0x55, 0x7f, 0x80, 0x83, 0xaa, 0xc7, 0xd1, 0xf0, 0xfe, 0xff, 0x2000, 0x3c00, 0xffff,
];

export const devicePrograms: FuzzTarget = {
  name: 'devices',
  about: 'register programs for each standard device',
  maxBytes: 1024,
  open: () => Promise.resolve({ run, close: () => undefined }),
};

function run(bytes: Uint8Array): void {
  const input = new FuzzInput(bytes);
  const set = input.pick(DEVICE_SETS);
  const clock = new FuzzClock();
  const made = set.make(clock);
  while (!input.isEmpty) step(input, made, clock, set.name);
  checkReset(set, made, clock);
  for (const { device } of made.places) device.close?.();
  expect(clock.pending === 0, () => `${set.name}: ${clock.pending} timers are left after close`);
}

function step(input: FuzzInput, made: MadeDevices, clock: FuzzClock, name: string): void {
  const { counts } = made;
  const before = { scheduled: clock.scheduled, fired: clock.fired, lineMoves: counts.lineMoves, output: counts.output };
  let walkedMs = 0;
  const { device, ports } = input.pick(made.places);
  const kind = input.below(16);
  if (kind < 6) {
    const size = input.pick(SIZES);
    const value = device.read(input.below(ports), size);
    expect(isValue(value, size), () => `${device.name}: ${JSON.stringify(value)} from a read of ${size} bytes`);
  } else if (kind < 12) {
    const size = input.pick(SIZES);
    const written = device.write(input.below(ports), size, cut(input.word(VALUES), size));
    expect(written === undefined, () => `${device.name}: a write gave ${typeof written}`);
  } else if (kind === 12) clock.walk((walkedMs = input.u8() / 4));
  else if (kind === 13) clock.jump(2 ** input.below(40) * (1 + input.u8() / 256));
  else if (kind === 14) made.fromOutside(input);
  else device.reset?.();

  const isAccess = kind < 12;
  const fired = clock.fired - before.fired;
  const allowed = MAX_CALLBACKS + walkedMs * MAX_CALLBACKS_EACH_MS;
  expect(fired <= allowed, () => `${name}: ${fired} timers fired in one step of ${walkedMs} ms`);
  expect(clock.pending <= MAX_PENDING, () => `${name}: ${clock.pending} timers wait`);
  if (!isAccess) return;
  expect(clock.scheduled - before.scheduled <= MAX_TIMERS_SET, () => `${name}: an access sets many timers`);
  expect(counts.lineMoves - before.lineMoves <= MAX_LINE_MOVES, () => `${name}: an access sets its line many times`);
  expect(counts.output - before.output <= MAX_OUTPUT, () => `${name}: an access writes a lot`);
}

/**
 * Throws if, after a reset, a register reads differently from that of a new device, and the set
 * does not name it as one that survives.
 */
function checkReset(set: DeviceSet, made: MadeDevices, clock: FuzzClock): void {
  for (const { device } of made.places) device.reset?.();
  expect(!made.counts.level, () => `${set.name}: the line is high after a reset`);
  const fresh = set.make(clock);
  const readAll = ({ places }: MadeDevices): string =>
    places
      .map(({ device, ports }, index) =>
        Array.from({ length: Math.max(READS_AFTER_RESET, ports) }, (_, at) =>
          set.survives?.(index, at % ports) === true ? '-' : String(device.read(at % ports, 1) as number),
        ).join(' '),
      )
      .join('; ');
  const afterReset = readAll(made);
  const whenNew = readAll(fresh);
  for (const { device } of fresh.places) device.close?.();
  expect(afterReset === whenNew, () => `${set.name}: after a reset ${afterReset}, when new ${whenNew}`);
}

function isValue(value: unknown, size: AccessSize): boolean {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < 2 ** (8 * size);
}

/** `value` truncated to the access. */
function cut(value: number, size: AccessSize): number {
  return size === 4 ? value : value & (size === 2 ? 0xffff : 0xff);
}
