/**
 * The place of an error in its author's file. The author of a device or hypervisor looks for the
 * line in a file of their own, and the frames around it are Node's, of libraries, or upcall's.
 *
 * Called by: the files that report the errors of devices, clients and hypervisors.
 */

/**
 * Where upcall's own code is, as it appears in stacks: the folder of the compiled code, of which
 * this file is in `io-request/`, or within a bundled program in `bundle/`. Undefined where stacks
 * have no frames (Error.stackTraceLimit is 0): then nothing counts as upcall's own.
 */
const OWN_CODE = framesOf(new Error().stack ?? '')[0]?.replace(/(?:io-request|bundle)[/\\][^/\\]*$/, '');

/**
 * The first frame of a stack that is in the author's file, as `/path/device.js:3:9`: a file that is
 * neither Node's, nor of an installed package, nor upcall's.
 */
export function authorFrame(stack: string): string | undefined {
  return authorFrames(stack)[0];
}

/** All such frames, the innermost first. */
export function authorFrames(stack: string): string[] {
  return framesOf(stack).filter((place) => !isOwn(place) && !/[/\\]node_modules[/\\]/.test(place));
}

/**
 * The lines of a stack's frames that are in files, neither Node's nor upcall's: those of the author
 * and of the packages that the author uses.
 */
export function foreignLines(stack: string): string[] {
  return stack.split('\n').filter((line) => framesOf(line).some((place) => !isOwn(place)));
}

/**
 * Whether no frame is in a file: an error of Node itself, for example of a stream, which has no
 * frame of the code that used it.
 */
export function isInNode(stack: string): boolean {
  return framesOf(stack).length === 0;
}

/** The message, followed by the first frame in the author's file, if the stack has one. */
export function messageWithPlace(message: string, stack: string | undefined): string {
  const place = stack === undefined ? undefined : authorFrame(stack);
  return place === undefined ? message : `${message} (at ${place})`;
}

function isOwn(place: string): boolean {
  return OWN_CODE !== undefined && place.startsWith(OWN_CODE);
}

/** The places of the frames that are in files, the innermost first. */
function framesOf(stack: string): string[] {
  const places = stack.split('\n').map((line) => /^\s*at (?:.*\()?(.+:\d+:\d+)\)?$/.exec(line)?.[1] ?? '');
  return places.map(fileOf).filter((place) => place.startsWith('/') || /^[A-Za-z]:[/\\]/.test(place));
}

/** A file URL as a path, on Windows without the slash before the drive. Other text is unchanged. */
function fileOf(text: string): string {
  if (!text.startsWith('file://')) return text;
  const path = text.slice('file://'.length);
  try {
    return decodeURIComponent(path).replace(/^\/(?=[A-Za-z]:)/, '');
  } catch {
    return path;
  }
}
