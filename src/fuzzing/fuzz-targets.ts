/** All fuzz targets. Called by: `npm run fuzz` and a test, which run a campaign of each. */

import type { FuzzTarget } from './fuzz-target.js';
import { controlCalls } from './targets/control-calls.js';
import { devicePrograms } from './targets/device-programs.js';
import { guestImages } from './targets/guest-images.js';
import { guestScripts } from './targets/guest-scripts.js';
import { machineCode } from './targets/machine-code.js';
import { pagePrograms } from './targets/page-programs.js';
import { privilegedState } from './targets/privileged-state.js';
import { vfioMessages } from './targets/vfio-messages.js';
import { virtioPrograms } from './targets/virtio-programs.js';

export const FUZZ_TARGETS: readonly FuzzTarget[] = [
  pagePrograms,
  guestScripts,
  machineCode,
  privilegedState,
  devicePrograms,
  virtioPrograms,
  vfioMessages,
  controlCalls,
  guestImages,
];
