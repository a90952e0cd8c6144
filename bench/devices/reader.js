// @ts-check
/** The trivial device as a module, for a thread of its own. */

import { answeringDevice } from '../machine.js';

export default () => answeringDevice;
