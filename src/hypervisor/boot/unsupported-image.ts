/**
 * The refusal of an image that is complete but cannot run on this machine.
 *
 * Called by: the parsers of this folder that know why.
 */

import { UpcallError } from '../../io-request/upcall-error.js';

export interface ForeignImage {
  /** A noun phrase: "an ISO 9660 image". */
  readonly what: string;
  readonly reason: string;
  /** An imperative sentence. */
  readonly remedy: string;
}

export function unsupported({ what, reason, remedy }: ForeignImage): UpcallError {
  return new UpcallError('IMAGE_UNSUPPORTED', `${what} cannot run here: ${reason}`, { remedy });
}
