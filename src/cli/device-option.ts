/**
 * `--device FILE@RANGE[,thread][,NAME=VALUE…]`: a device module of the user and its address range.
 *
 * - RANGE is `0x500`, `0x500+4` (start and count) or `0x500-0x503` (both ends inclusive) for
 *   ports, and the same after `mmio:` for addresses. Numbers without 0x are decimal. For a PCI
 *   card it is `pci` or `pci:00:05.0` (pci-place.ts).
 * - The names and values become the device's options.
 *
 * Called by: commands/run.ts, commands/serve.ts.
 */

import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { mmio, ports, type AddressRange } from '../hsm/address-range.js';
import { UpcallError } from '../io-request/upcall-error.js';
import { moduleFileProblem } from './module-file.js';
import { parsePciPlace, type PciPlace } from './pci-place.js';

export interface DeviceOption {
  /** Of a file that exists. */
  readonly module: URL;
  readonly place: AddressRange | PciPlace;
  readonly inOwnThread: boolean;
  readonly options: Readonly<Record<string, string | number>>;
}

const FORM =
  'Write FILE@RANGE, for example my-device.js@0x500, my-device.js@0x500+4, my-device.js@0x500-0x503, my-device.js@mmio:0xd0000000+0x1000, or for a PCI card my-card.js@pci or my-card.js@pci:00:05.0; append ,thread for a thread of its own. Numbers are decimal unless they begin with 0x';

/**
 * Throws RANGE_INVALID, OPTION_INVALID, or DEVICE_MODULE_INVALID if the file does not exist or
 * cannot be a module.
 */
export function parseDevice(text: string): DeviceOption {
  const at = text.includes('@') ? text.lastIndexOf('@') : text.length;
  const file = text.slice(0, at);
  const [rangeText = '', ...words] = text.slice(at + 1).split(',');
  if (file === '' || rangeText === '')
    throw new UpcallError('OPTION_INVALID', `--device ${text}: the ${file === '' ? 'file' : 'range'} is missing`, {
      remedy: FORM,
    });
  const place = parsePciPlace(rangeText) ?? parseRange(rangeText);
  const options: Record<string, string | number> = {};
  const seen = new Set<string>();
  for (const word of words) {
    const equals = word.indexOf('=');
    const name = word.slice(0, Math.max(equals, 0)) || word;
    if (seen.has(name))
      throw new UpcallError('OPTION_INVALID', `--device ${text}: ${name} is given twice`, {
        remedy: `Leave out one of the two: ${word}`,
      });
    seen.add(name);
    if (word === 'thread') continue;
    if (equals < 1)
      throw new UpcallError('OPTION_INVALID', `--device ${text}: expected thread or NAME=VALUE, not "${word}"`, {
        remedy: FORM,
      });
    const value = word.slice(equals + 1);
    // An assignment to it would set the prototype of the options instead.
    if (name === '__proto__')
      throw new UpcallError('OPTION_INVALID', `--device ${text}: an option cannot be named __proto__`, {
        remedy: 'Choose another name',
      });
    options[name] = parseNumber(value) ?? value;
  }
  const path = resolve(file);
  const problem = moduleFileProblem(path);
  if (problem !== undefined)
    throw new UpcallError('DEVICE_MODULE_INVALID', `--device ${file}: ${problem}`, {
      remedy: 'Check the path, which is that of a JavaScript or TypeScript file',
    });
  return { module: pathToFileURL(path), place, inOwnThread: words.includes('thread'), options };
}

/** Throws RANGE_INVALID. */
export function parseRange(text: string): AddressRange {
  const isMmio = text.startsWith('mmio:');
  const match = /^(\w+)(?:([+-])(\w+))?$/.exec(isMmio ? text.slice(5) : text);
  const start = parseNumber(match?.[1]);
  const second = match?.[2] === undefined ? undefined : parseNumber(match[3]);
  if (match === null || start === undefined || (match[2] !== undefined && second === undefined))
    throw new UpcallError('RANGE_INVALID', `invalid range "${text}"`, { remedy: FORM });
  const length = second === undefined ? 1 : match[2] === '+' ? second : second - start + 1;
  if (length < 1)
    throw new UpcallError(
      'RANGE_INVALID',
      match[2] === '+' ? `the range ${text} is empty` : `the range ${text} ends before it starts`,
      { remedy: FORM },
    );
  try {
    return isMmio ? mmio(start, length) : ports(start, length);
  } catch (error) {
    if (!(error instanceof UpcallError)) throw error;
    throw new UpcallError('RANGE_INVALID', `the range ${text} exceeds the ${isMmio ? 'address space' : 'port space'}`, {
      remedy: isMmio ? 'Addresses have at most 52 bits' : 'Ports are 0 to 0xffff',
      cause: error,
    });
  }
}

/** Parses `0x1f0` or `496`. Returns undefined for any other text. */
function parseNumber(text: string | undefined): number | undefined {
  return text !== undefined && /^(0x[0-9a-f]{1,14}|\d{1,16})$/i.test(text) ? Number(text) : undefined;
}
