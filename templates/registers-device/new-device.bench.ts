/** A bench with the device on it, for tests. */

import { deviceBench, type Bench } from 'upcall/testing';
import NewDevice from './new-device.ts';

export function makeBench(): Promise<Bench> {
  return deviceBench(NewDevice, { length: RANGE_LENGTH, options: { line: 5 } });
}
