/**
 * The host of this build (Host in host.ts). The only line that a build for another host replaces.
 *
 * Called by: all files that need the host, in every thread. The exception is what serves programs
 * of other processes (acrn-programs/), which calls Linux directly. See
 * docs/decisions/0013-one-interface-to-the-host.md.
 */

export { nodeHost as host } from './node/node-host.js';
