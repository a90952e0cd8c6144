/**
 * The defects that the explorer must find, one at a time. Called by: explore-main.ts and a test.
 */

import type { Defect } from './defect.js';
import { ENDING_DEFECTS } from './ending-defects.js';
import { REQUEST_DEFECTS } from './request-defects.js';

export const DEFECTS: readonly Defect[] = [...REQUEST_DEFECTS, ...ENDING_DEFECTS];
