/**
 * UpcallError: the error for operators, with a code to search for, the facts, and a remedy.
 *
 * Called by: everything that refuses what an operator or a program asked for. The command line
 * prints `describe()`, and acrn-hsm/ returns `errno`.
 */

export type UpcallErrorCode =
  | 'IMAGE_NOT_FOUND'
  | 'IMAGE_MALFORMED'
  | 'IMAGE_TOO_LARGE'
  | 'IMAGE_UNSUPPORTED'
  | 'RANGE_OVERLAP'
  | 'RANGE_INVALID'
  | 'LINE_INVALID'
  | 'DEVICE_INVALID'
  | 'DEVICE_MODULE_INVALID'
  | 'THREAD_FAILED'
  | 'HYPERVISOR_UNAVAILABLE'
  | 'HYPERVISOR_MODULE_INVALID'
  | 'HYPERCALL_FAILED'
  | 'CORE_MISMATCH'
  | 'VM_STATE'
  | 'VM_LIMIT'
  | 'OPTION_INVALID'
  | 'REGISTERS_INVALID'
  | 'TOOL_MISSING'
  | 'TOOL_FAILED'
  | 'DOWNLOAD_FAILED'
  | 'SIGNATURE_INVALID'
  | 'DISK_INVALID'
  | 'DISK_UNAVAILABLE'
  | 'SNAPSHOT_INVALID'
  | 'SNAPSHOT_REFUSED'
  | 'TIMED_OUT';

export interface UpcallErrorOptions {
  /** An imperative sentence. */
  readonly remedy?: string;
  /** The driver's negative errno. Undefined if the driver has no such error. */
  readonly errno?: number;
  readonly cause?: unknown;
}

export class UpcallError extends Error {
  override readonly name = 'UpcallError';
  readonly code: UpcallErrorCode;
  readonly remedy: string | undefined;
  readonly errno: number | undefined;

  constructor(code: UpcallErrorCode, message: string, options: UpcallErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.remedy = options.remedy;
    this.errno = options.errno;
  }

  /** One line for the terminal: what failed, then the remedy. */
  describe(): string {
    if (this.remedy === undefined) return this.message;
    // A message that quotes another program may have its own full stop.
    return `${this.message.replace(/\.+$/, '')}. ${this.remedy}`;
  }
}
