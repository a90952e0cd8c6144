/**
 * readSignedRelease: the release file of a Debian archive (InRelease), after its signature has been
 * verified. It has the size and SHA-256 of each index, which in turn has those of each package.
 *
 * Called by: DebianMirror.
 */

import type { PublicKey } from 'openpgp';
import { UpcallError } from '../../io-request/upcall-error.js';
import { readFields } from './package-fields.js';

export interface IndexedFile {
  readonly bytes: number;
  /** In hexadecimal. */
  readonly sha256: string;
}

export interface SignedRelease {
  /** E.g. "bookworm". */
  readonly codename: string;
  /** By path, relative to the release file. */
  readonly files: ReadonlyMap<string, IndexedFile>;
}

export interface ReleaseCheck {
  /** In messages. */
  readonly url: string;
  /** Keys that may sign, in the binary form of OpenPGP. */
  readonly keys: readonly Uint8Array[];
  readonly codename: string;
  readonly now?: Date;
}

const HASH_LINE = /^ ([0-9a-f]{64}) +(\d{1,15}) +(\S+)$/;

/**
 * Rejects with SIGNATURE_INVALID for a text that none of the keys has signed, or of another
 * release, or that has expired, and with TOOL_MISSING without the optional package openpgp.
 */
export async function readSignedRelease(text: string, check: ReleaseCheck): Promise<SignedRelease> {
  const { url, codename, now = new Date() } = check;
  const signed = await signedText(text, { ...check, now });
  const fields = readFields(signed);
  const found = fields.get('Codename');
  if (found !== codename)
    throw refused(`${url} is of the release "${found}", not of "${codename}"`, 'Give the mirror of a Debian archive');
  const validUntil = fields.get('Valid-Until');
  // A date that cannot be read is not later than now, either.
  if (validUntil !== undefined && !(Date.parse(validUntil) > now.getTime()))
    throw refused(
      `${url} was valid until ${validUntil}, and it is ${now.toUTCString()}`,
      'Give a mirror that is up to date, and check the clock of this machine',
    );
  return { codename, files: hashes(signed) };
}

/** What the signature covers. Lines before and behind it are not part of that. */
async function signedText(text: string, { url, keys, now }: ReleaseCheck & { now: Date }): Promise<string> {
  const openpgp = await loadOpenPgp();
  let reasons: string[];
  try {
    const verificationKeys: PublicKey[] = [];
    for (const binaryKey of keys) verificationKeys.push((await openpgp.readKey({ binaryKey })).toPublic());
    const message = await openpgp.readCleartextMessage({ cleartextMessage: text });
    const { data, signatures } = await openpgp.verify({ message, verificationKeys, date: now });
    reasons = [];
    for (const { verified } of signatures) {
      const reason = await verified.then(
        () => undefined,
        (error: unknown) => messageOf(error),
      );
      // One is enough: Debian signs with several keys, of which the next release's may be unknown.
      if (reason === undefined) return data;
      reasons.push(reason);
    }
    if (reasons.length === 0) reasons = ['it has no signature'];
  } catch (error) {
    reasons = [messageOf(error)];
  }
  throw refused(
    `${url} is not signed by Debian: ${reasons.join('; ')}`,
    'Try again, or give another mirror: what this one sends may have been changed on the way',
  );
}

/** Its optional package is loaded on first use: it is large, and most runs use apt or the cache. */
async function loadOpenPgp(): Promise<typeof import('openpgp')> {
  try {
    return await import('openpgp');
  } catch (cause) {
    throw new UpcallError('TOOL_MISSING', "Debian's signature cannot be verified without the package openpgp", {
      remedy: 'Install it: npm install openpgp. Or give a 32-bit kernel of your own with --kernel and --initrd',
      cause,
    });
  }
}

/** The lines of the field SHA256. */
function hashes(release: string): ReadonlyMap<string, IndexedFile> {
  const files = new Map<string, IndexedFile>();
  let isWithin = false;
  for (const line of release.split('\n')) {
    if (!line.startsWith(' ')) isWithin = line.trim() === 'SHA256:';
    const match = isWithin ? HASH_LINE.exec(line.trimEnd()) : null;
    if (match !== null) files.set(match[3] as string, { bytes: Number(match[2]), sha256: match[1] as string });
  }
  return files;
}

function refused(fact: string, remedy: string): UpcallError {
  return new UpcallError('SIGNATURE_INVALID', fact, { remedy });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
