/**
 * PageServer: the HTTP server of the live page: the page's files, `/metrics` for Prometheus, and
 * the upgrade of a request to the page's WebSocket. It accepts GET and HEAD only, and neither
 * changes anything.
 *
 * Called by: LiveView.
 *
 * Any web page in the operator's browser can send requests here. Therefore:
 *
 * - Host must be an IP address, localhost, or the name at which the server listens. A foreign name
 *   that resolves to this machine is refused (DNS rebinding).
 * - Origin, which a WebSocket must have, must be this server.
 * - Data and control need the token of the printed address.
 *
 * So can another user of this machine. Therefore connections that have not shown the token are
 * limited in number and time (connection-pools.ts). They take no place of a page that has shown it.
 * Each gets one response.
 */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { isIP, type AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { WebSocketServer, type WebSocket } from 'ws';
import { UpcallError } from '../io-request/upcall-error.js';
import { errorText } from '../io-request/error-text.js';
import type { Timing } from '../sync/timer-lateness.js';
import { readPageFiles, type PageFile } from './page-files.js';
import { ConnectionPools } from './connection-pools.js';
import { HEADERS, parserStatus, refuse } from './page-headers.js';
import { LIVE_PATH, MAX_PAGE_MESSAGE_BYTES } from './protocol.js';
import { isSameToken } from './same-token.js';

export interface PageServerOptions {
  /** The address or name to listen at. Requests may have it as their Host. */
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  readonly token: string;
  readonly pageFolder: URL;
  /** The answer to /metrics. */
  readonly metrics: () => string;
  /**
   * Called with the WebSocket of each page that opens, and its TCP connection. Call
   * `authenticated` when it has sent the token: until then its time is limited.
   */
  readonly onPage: (socket: WebSocket, stream: Duplex, authenticated: () => void) => void;
  /** Default: the host's. */
  readonly timing?: Timing;
}

const NOT_BUILT =
  'The page is not built: run npm run build. A package from the registry has it.\nThe metrics are at /metrics.\n';

export class PageServer {
  readonly #options: PageServerOptions;
  readonly #files: ReadonlyMap<string, PageFile>;
  readonly #server: Server;
  readonly #sockets: WebSocketServer;
  readonly #pools: ConnectionPools;
  /** Connections whose one response has begun. */
  readonly #answered = new WeakSet<Duplex>();

  /**
   * Resolves when it listens. Rejects with OPTION_INVALID if it cannot, and with the file system's
   * error if a page file cannot be read.
   */
  static async open(options: PageServerOptions): Promise<PageServer> {
    const server = new PageServer(options, await readPageFiles(options.pageFolder));
    await server.#listen();
    return server;
  }

  private constructor(options: PageServerOptions, files: ReadonlyMap<string, PageFile>) {
    this.#options = options;
    this.#files = files;
    this.#sockets = new WebSocketServer({
      noServer: true,
      maxPayload: MAX_PAGE_MESSAGE_BYTES,
      perMessageDeflate: false,
    });
    this.#pools = new ConnectionPools(options.timing);
    // Node would answer some requests itself, without the headers: those get listeners here.
    this.#server = createServer({ requireHostHeader: false }, (request, response) => this.#answer(request, response));
    this.#server.on('checkContinue', (request, response) => this.#answer(request, response));
    this.#server.on('checkExpectation', (request, response) => this.#answer(request, response, { isExpecting: true }));
    this.#server.on('clientError', (error, socket) => this.#refuseMalformed(error, socket));
    this.#sockets.on('wsClientError', (_error, socket) => refuse(socket, '400 Bad Request'));
    this.#server.on('connection', (socket) => this.#pools.enter(socket, 'silent'));
    this.#server.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head));
  }

  /** The server's address, for example `http://127.0.0.1:40123`. */
  get origin(): string {
    const { address, family, port } = this.#server.address() as AddressInfo;
    const isAny = address === '0.0.0.0' || address === '::';
    const host = isAny ? 'localhost' : family === 'IPv6' ? `[${address}]` : address;
    return `http://${host}:${port}`;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets.clients) socket.terminate();
    this.#sockets.close();
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  async #listen(): Promise<void> {
    const { host, port } = this.#options;
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', (error: NodeJS.ErrnoException) =>
        reject(
          new UpcallError('OPTION_INVALID', `the page cannot be served at ${host}:${port}: ${listenError(error)}`, {
            remedy:
              error.code === 'EADDRNOTAVAIL'
                ? 'Give --page-host one of its addresses'
                : 'Give another port, or --page without a port for any free one',
            cause: error,
          }),
        ),
      );
      this.#server.listen(port, host, resolve);
    });
    this.#server.on('error', () => undefined);
    // The page alone does not keep the process alive.
    this.#server.unref();
  }

  /** `isExpecting`: the request has an Expect header that Node does not know. */
  #answer(request: IncomingMessage, response: ServerResponse, { isExpecting = false } = {}): void {
    this.#pools.enter(request.socket, 'response');
    this.#answered.add(request.socket);
    for (const [name, value] of Object.entries(HEADERS)) response.setHeader(name, value);
    if (!this.#isAllowed(request)) end(response, 403, 'Open the printed address.\n');
    else if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.setHeader('Allow', 'GET, HEAD');
      end(response, 405, 'Only GET and HEAD.\n');
    } else if (isExpecting) end(response, 417, 'Only Expect: 100-continue.\n');
    else this.#get(request, response);
  }

  #get(request: IncomingMessage, response: ServerResponse): void {
    const url = urlOf(request);
    if (url?.pathname === '/metrics') {
      if (!this.#hasToken(request, url)) end(response, 401, 'Send the token: /metrics?token=… or as a bearer token.\n');
      else {
        this.#pools.enter(request.socket, 'metrics');
        end(response, 200, this.#options.metrics(), 'text/plain; version=0.0.4; charset=utf-8');
      }
      return;
    }
    const file = url === undefined ? undefined : this.#files.get(url.pathname);
    if (file !== undefined) {
      response.setHeader('Cache-Control', file.isHashed ? 'public, max-age=31536000, immutable' : 'no-store');
      end(response, 200, file.bytes, file.type);
    } else if (url?.pathname === '/' && this.#files.size === 0) end(response, 503, NOT_BUILT);
    else end(response, 404, 'Not found.\n');
  }

  #hasToken(request: IncomingMessage, url: URL): boolean {
    const { authorization = '' } = request.headers;
    const bearer = /^Bearer (.*)$/.exec(authorization)?.[1] ?? '';
    const { token } = this.#options;
    return isSameToken(bearer, token) || isSameToken(url.searchParams.get('token') ?? '', token);
  }

  /**
   * Answers a request that Node's parser refused. If a response has begun, only closes the
   * connection.
   */
  #refuseMalformed(error: Error, socket: Duplex): void {
    if (socket.writable && !this.#answered.has(socket)) refuse(socket, parserStatus(error));
    else socket.destroy();
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', () => socket.destroy());
    this.#pools.enter(socket, 'hello');
    if (!this.#isAllowed(request) || request.headers.origin === undefined || urlOf(request)?.pathname !== LIVE_PATH) {
      refuse(socket, '403 Forbidden');
      return;
    }
    this.#sockets.handleUpgrade(request, socket, head, (page) =>
      this.#options.onPage(page, socket, () => this.#pools.leave(socket)),
    );
  }

  /** Whether Host is valid, and the request came from this server's page or from no page at all. */
  #isAllowed({ headers: { host, origin } }: IncomingMessage): boolean {
    if (host === undefined || (origin !== undefined && origin !== `http://${host}`)) return false;
    const name = hostName(host);
    return name === 'localhost' || name === this.#options.host.toLowerCase() || isIP(name) !== 0;
  }
}

/** What an error of `listen` means. */
function listenError(error: NodeJS.ErrnoException): string {
  if (error.code === 'EADDRINUSE') return 'another program listens there';
  if (error.code === 'EACCES') return 'this user may not listen there';
  if (error.code === 'EADDRNOTAVAIL') return 'this machine has no such address';
  return errorText(error).message;
}

/** The host without port and brackets. */
function hostName(host: string): string {
  return (/^\[([^\]]*)\](?::\d+)?$/.exec(host)?.[1] ?? host.replace(/:\d+$/, '')).toLowerCase();
}

/** The address of a request. Undefined if it is malformed. */
function urlOf(request: IncomingMessage): URL | undefined {
  try {
    return new URL(request.url ?? '', 'http://page');
  } catch {
    return undefined;
  }
}

function end(
  response: ServerResponse,
  status: number,
  body: string | Uint8Array,
  type = 'text/plain; charset=utf-8',
): void {
  response.statusCode = status;
  response.setHeader('Content-Type', type);
  if (!response.hasHeader('Cache-Control')) response.setHeader('Cache-Control', 'no-store');
  response.end(body);
}
