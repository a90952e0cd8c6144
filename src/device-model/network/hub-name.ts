/** The names of hubs that processes share. Called by: SocketHubPort, and `--net`. */

/** 1 to 32 letters, digits, `.`, `_` and `-`. */
export function isHubName(name: string): boolean {
  return /^[\w.-]{1,32}$/.test(name);
}
