// @ts-check
/** The trivial device as a module whose thread sleeps without looking first. */

import { answeringDevice } from '../machine.js';
import { sleepAtOnce } from '../sleep-at-once.js';

export default async () => {
  await sleepAtOnce();
  return answeringDevice;
};
