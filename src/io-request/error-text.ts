/**
 * ErrorText: message, stack and place of a thrown value, for the operator. Clients and devices are
 * foreign code and may throw anything, even a value that cannot be converted to a string.
 * `errorText` itself never throws.
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

/** Where this build of upcall is, as it appears in stacks. */
const OWN_FOLDER = fileOf(new URL('../', import.meta.url).href);

/**
 * The first frame of a stack that is in the author's file, as `/path/device.js:3:9`: a file that is
 * neither Node's, nor of an installed package, nor upcall's. Undefined if there is none.
 */
export function authorFrame(stack: string): string | undefined {
  return framesOf(stack).find((place) => !place.startsWith(OWN_FOLDER) && !/[/\\]node_modules[/\\]/.test(place));
}

/** The message, followed by the first frame in the author's file, if the stack has one. */
export function messageWithPlace(message: string, stack: string | undefined): string {
  const place = stack === undefined ? undefined : authorFrame(stack);
  return place === undefined ? message : `${message} (at ${place})`;
}

/** The places of the frames that are in files, the innermost first. */
function framesOf(stack: string): string[] {
  const places = stack.split('\n').map((line) => /^\s*at (?:.*\()?(.+:\d+:\d+)\)?$/.exec(line)?.[1] ?? '');
  return places.map(fileOf).filter((place) => place.startsWith('/') || /^[A-Za-z]:[/\\]/.test(place));
}

/** A file URL as a path. Other text stays as it is. */
function fileOf(text: string): string {
  if (!text.startsWith('file://')) return text;
  const path = text.slice('file://'.length);
  try {
    return decodeURIComponent(path).replace(/^\/(?=[A-Za-z]:)/, '');
  } catch {
    return path;
  }
}
