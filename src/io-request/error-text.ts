/**
 * ErrorText: message and stack of a thrown value, for the operator. Clients and devices are
 * foreign code and may throw anything, even a value that cannot be converted to a string.
 * `errorText` itself never throws.
 *
 * Called by: the code that catches an error of a client, a device, a hypervisor or the host.
 */

export interface ErrorText {
  readonly message: string;
  readonly stack?: string;
}

export function errorText(error: unknown): ErrorText {
  try {
    if (!(error instanceof Error)) {
      const text = String(error);
      // "undefined" alone would look like a mistake of upcall.
      return { message: error === undefined || error === null ? `threw ${text}` : text };
    }
    const { message, stack } = error as { readonly message: unknown; readonly stack?: unknown };
    return { message: String(message), ...(typeof stack === 'string' ? { stack } : {}) };
  } catch {
    return { message: 'something was thrown that has no text' };
  }
}
