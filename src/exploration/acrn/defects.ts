/** The defects that the explorer must find, each alone. */

import type { Defect } from './defect.js';
import { ENDING_DEFECTS } from './ending-defects.js';
import { REQUEST_DEFECTS } from './request-defects.js';

export const DEFECTS: readonly Defect[] = [...REQUEST_DEFECTS, ...ENDING_DEFECTS];
