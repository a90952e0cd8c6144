/**
 * The negotiation of the version: what a client says of itself, and what this server answers.
 *
 * Called by: VfioUserSession. Source: the vfio-user specification, "VFIO_USER_VERSION".
 */

import {
  Bytes,
  MAJOR_VERSION,
  MAX_CAPABILITY_BYTES,
  MAX_DESCRIPTORS,
  MAX_DATA,
  MAX_DMA_REGIONS,
  MINOR_VERSION,
} from './protocol.js';

export interface ClientVersion {
  readonly minor: number;
  /** Most bytes of data that it takes in one message. */
  readonly maxData: number;
}

/** The specification's value for clients that name no `pgsizes`. */
const PAGE_SIZES = 4096;

/** Undefined: the client is of another major version, or its message is not valid. */
export function parseVersion(payload: DataView<ArrayBuffer>): ClientVersion | undefined {
  if (payload.byteLength < Bytes.VERSION || payload.byteLength > Bytes.VERSION + MAX_CAPABILITY_BYTES) return undefined;
  if (payload.getUint16(0, true) !== MAJOR_VERSION) return undefined;
  const minor = payload.getUint16(2, true);
  const text = new Uint8Array(payload.buffer, payload.byteOffset + Bytes.VERSION, payload.byteLength - Bytes.VERSION);
  if (text.length === 0) return { minor, maxData: MAX_DATA };
  const end = text.indexOf(0);
  const maxData = parseMaxData(new TextDecoder().decode(text.slice(0, end < 0 ? undefined : end)));
  return maxData === undefined ? undefined : { minor, maxData };
}

/** Undefined: not the capabilities of a client. */
function parseMaxData(json: string): number | undefined {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    return undefined;
  }
  const capabilities = member(value, 'capabilities');
  const size = capabilities === undefined ? undefined : member(capabilities, 'max_data_xfer_size');
  if (size === undefined) return typeof value === 'object' ? MAX_DATA : undefined;
  if (typeof size !== 'number' || !Number.isInteger(size) || size < 1) return undefined;
  return Math.min(size, MAX_DATA);
}

function member(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
  return (value as Record<string, unknown>)[name];
}

/** The payload of the answer. */
export function versionAnswer(client: ClientVersion): Uint8Array {
  const capabilities = {
    max_msg_fds: MAX_DESCRIPTORS,
    max_data_xfer_size: MAX_DATA,
    pgsizes: PAGE_SIZES,
    max_dma_maps: MAX_DMA_REGIONS,
    write_multiple: false,
  };
  const text = new TextEncoder().encode(`${JSON.stringify({ capabilities })}\0`);
  const answer = new Uint8Array(Bytes.VERSION + text.length);
  const view = new DataView(answer.buffer);
  view.setUint16(0, MAJOR_VERSION, true);
  view.setUint16(2, Math.min(client.minor, MINOR_VERSION), true);
  answer.set(text, Bytes.VERSION);
  return answer;
}
