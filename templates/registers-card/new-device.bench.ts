/** A bench with the card on it, for tests. */

import { cardBench, type CardBench } from 'upcall/testing';
import NewDevice from './new-device.ts';

export function makeBench(): Promise<CardBench> {
  return cardBench(NewDevice);
}
