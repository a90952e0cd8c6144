/**
 * The host of this build. The only line that a build for another host replaces; everything below
 * the command line gets its host from here, in every thread. See
 * docs/decisions/0013-one-interface-to-the-host.md.
 */

export { nodeHost as host } from './node/node-host.js';
