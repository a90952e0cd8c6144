/**
 * ARCHIVE_KEYS: the OpenPGP keys that sign the index of Debian 12, pinned in this file, so that no
 * key has to be fetched first. https://ftp-master.debian.org/keys.html lists their fingerprints.
 *
 * Called by: openSource, for a mirror without apt (decision 31).
 */

/**
 * "Debian Stable Release Key (12/bookworm)", fingerprint 4D64FEC119C2029067D6E791F8D2585B8783D481,
 * Ed25519, valid until January 2031. The release team signs each point release with it.
 */
const BOOKWORM_STABLE = `
mDMEY865UxYJKwYBBAHaRw8BAQdAd7Z0srwuhlB6JKFkcf4HU4SSS/xcRfwEQWzrcrf6AEq0SURlYmlhbiBTdGFibGUgUmVs
ZWFzZSBLZXkgKDEyL2Jvb2t3b3JtKSA8ZGViaWFuLXJlbGVhc2VAbGlzdHMuZGViaWFuLm9yZz6IlgQTFggAPhYhBE1k/sEZ
wgKQZ9bnkfjSWFuHg9SBBQJjzrlTAhsDBQkPCZwABQsJCAcCBhUKCQgLAgQWAgMBAh4BAheAAAoJEPjSWFuHg9SBSgwBAP9q
peO5z1s5m4D4z3TcqDo1wez6DNya27QWWoG/4oBsAQCEN8Z00DXagPHbwrvsY2t9BCsT+PgnSn9biobwX7bDDg==`;

/** In the binary form of OpenPGP. */
export const ARCHIVE_KEYS: readonly Uint8Array[] = [Buffer.from(BOOKWORM_STABLE, 'base64')];
