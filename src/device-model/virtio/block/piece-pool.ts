/**
 * PiecePool: the memory in which a block device moves data, a fixed number of buffers of the same
 * size. Requests that find all of them taken wait in their order.
 *
 * Called by: BlockSession. VirtioBlock makes one for all sessions. Callers must give each piece
 * back, and must not hold one while they wait for another one.
 */

export class PiecePool {
  readonly #pieceBytes: number;
  /** Pieces that were never made. */
  #unmade: number;
  readonly #free: Uint8Array[] = [];
  readonly #waiting: ((piece: Uint8Array) => void)[] = [];

  constructor(pieces: number, pieceBytes: number) {
    this.#unmade = pieces;
    this.#pieceBytes = pieceBytes;
  }

  /** Its bytes are those of earlier users. */
  take(): Promise<Uint8Array> {
    const piece = this.#free.pop() ?? this.#make();
    if (piece !== undefined) return Promise.resolve(piece);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  give(piece: Uint8Array): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free.push(piece);
    else next(piece);
  }

  #make(): Uint8Array | undefined {
    if (this.#unmade === 0) return undefined;
    this.#unmade--;
    return new Uint8Array(this.#pieceBytes);
  }
}
