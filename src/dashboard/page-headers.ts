/**
 * The headers of every response of the live page's server but the upgrade to a WebSocket, and the
 * responses without Node's `ServerResponse`: refused upgrades and malformed requests.
 *
 * Called by: PageServer.
 */

import type { Duplex } from 'node:stream';

/**
 * Lets a browser load files of this server only, and nothing inline. Styles that xterm.js writes at
 * run time are adopted instead (page/parts/adopted-styles.ts).
 */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "font-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

/**
 * `Connection: close`, because ConnectionPools bounds a connection in number and time by what its
 * request is (a file, /metrics, an upgrade). A connection that is kept open for another request
 * would take a place without need, and the next request may be of another kind.
 */
export const HEADERS = {
  Connection: 'close',
  'Content-Security-Policy': CONTENT_SECURITY_POLICY,
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
} as const;

/** Answers on a bare connection and closes it. `status`: "403 Forbidden". */
export function refuse(connection: Duplex, status: string): void {
  const lines = Object.entries({ ...HEADERS, 'Cache-Control': 'no-store', 'Content-Length': '0' });
  const head = [`HTTP/1.1 ${status}`, ...lines.map(([name, value]) => `${name}: ${value}`)].join('\r\n');
  connection.end(`${head}\r\n\r\n`, () => connection.destroy());
}

/**
 * The status for an error of `clientError`: Node's HTTP parser refused the request, or it came too
 * late.
 */
export function parserStatus(error: Error): string {
  switch ((error as NodeJS.ErrnoException).code) {
    case 'HPE_HEADER_OVERFLOW':
      return '431 Request Header Fields Too Large';
    case 'HPE_CHUNK_EXTENSIONS_OVERFLOW':
      return '413 Payload Too Large';
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return '408 Request Timeout';
    default:
      return '400 Bad Request';
  }
}
