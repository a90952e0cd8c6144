/**
 * Reporter: what upcall itself has to say, a line at a time, on standard error: the guest's console
 * on standard output stays clean. In a raw terminal lines end in CR LF, and a line starts in a
 * fresh one if the guest has left the cursor in the middle.
 */

/** The part of a stream that a reporter needs. */
export interface TextSink {
  write(text: string): unknown;
}

export interface ReporterState {
  /** The terminal does not turn LF into CR LF. */
  isRaw: boolean;
  /** The guest's last character on the same terminal did not end a line. */
  isMidLine: boolean;
}

export class Reporter {
  readonly state: ReporterState = { isRaw: false, isMidLine: false };
  readonly #sink: TextSink;

  constructor(sink: TextSink) {
    this.#sink = sink;
  }

  /** One line with the program's name before it. */
  line(text: string): void {
    this.text(`upcall: ${oneLine(text)}\n`);
  }

  /** Text of several lines, each ended; as it is. */
  text(text: string): void {
    const fresh = this.state.isMidLine ? `\n${text}` : text;
    this.state.isMidLine = false;
    this.#sink.write(this.state.isRaw ? fresh.replaceAll('\n', '\r\n') : fresh);
  }
}

/**
 * In one line and without control characters: messages carry names and texts of guests and files,
 * which must not move the cursor or change the terminal.
 */
export function oneLine(text: string): string {
  return text
    .trim()
    .replace(/\s*[\r\n]+\s*/g, ' ')
    .replace(/[\u0000-\u001f\u007f-\u009f]/g, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`);
}
