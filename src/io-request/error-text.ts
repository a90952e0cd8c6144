/**
 * What to tell the operator about something that was thrown. Clients and devices are other people's code and may throw
 * anything, also what cannot be made a string; whoever reports it must not fall over it.
 */

export interface ErrorText {
  readonly message: string;
  readonly stack?: string;
}

export function errorText(error: unknown): ErrorText {
  try {
    if (!(error instanceof Error)) return { message: String(error) };
    const { message, stack } = error as { readonly message: unknown; readonly stack?: unknown };
    return { message: String(message), ...(typeof stack === 'string' ? { stack } : {}) };
  } catch {
    return { message: 'something was thrown that has no text' };
  }
}
