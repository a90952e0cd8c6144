/**
 * The host of this build. The only line that a build for another host replaces: all files get the
 * host from here, in every thread. The exception is what serves programs of other processes
 * (acrn-programs/), which calls Linux directly. See
 * docs/decisions/0013-one-interface-to-the-host.md.
 */

export { nodeHost as host } from './node/node-host.js';
