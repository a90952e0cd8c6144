// @ts-check
/** The trivial device as a module whose thread parks without spinning. */

import { answeringDevice } from '../machine.js';
import { sleepAtOnce } from '../sleep-at-once.js';

export default async () => {
  await sleepAtOnce();
  return answeringDevice;
};
