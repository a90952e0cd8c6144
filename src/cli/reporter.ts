/**
 * Reporter: upcall's own messages, line by line, on standard error. Standard output is the guest's
 * console and nothing else.
 *
 * Called by: main.ts creates one. All files of the command line that print get it.
 *
 * In a raw terminal lines end in CR LF. If the guest left the cursor in the middle of a line, a
 * message starts a new one.
 */

/** The part of a stream that Reporter uses. */
export interface TextSink {
  write(text: string): unknown;
}

/** The state of the terminal, which runSession keeps up to date. */
export interface ReporterState {
  /** Whether the terminal is in raw mode, where it does not translate LF into CR LF. */
  isRaw: boolean;
  /** Whether the guest's last character on the same terminal did not end a line. */
  isMidLine: boolean;
}

export class Reporter {
  readonly state: ReporterState = { isRaw: false, isMidLine: false };
  readonly #sink: TextSink;
  readonly #subject: string;
  readonly #onLine: ((line: string) => void) | undefined;

  /**
   * `subject`: what all lines are about, such as a VM. `onLine` gets each line, too, without the
   * program's name.
   */
  constructor(sink: TextSink, subject = '', onLine?: (line: string) => void) {
    this.#sink = sink;
    this.#subject = subject === '' ? '' : `${subject}: `;
    this.#onLine = onLine;
  }

  /** Prints one line, prefixed with the program's name. */
  line(text: string): void {
    this.heading(text);
    this.#onLine?.(`${this.#subject}${oneLine(text)}`);
  }

  /** As `line`, before a text: `onLine` gets neither. */
  heading(text: string): void {
    this.text(`upcall: ${this.#subject}${oneLine(text)}\n`);
  }

  /**
   * A reporter whose lines begin with `subject`. `onLine`: as in the constructor. It has a `state`
   * of its own, which no session keeps up to date. So it must not be used in a raw terminal.
   */
  about(subject: string, onLine?: (line: string) => void): Reporter {
    return new Reporter(this.#sink, subject, onLine);
  }

  /** Prints whole lines unchanged. */
  text(text: string): void {
    const fresh = this.state.isMidLine ? `\n${text}` : text;
    this.state.isMidLine = false;
    this.#sink.write(this.state.isRaw ? fresh.replaceAll('\n', '\r\n') : fresh);
  }
}

/**
 * Joins lines and escapes control characters: messages quote guests and files, which must not move
 * the cursor or reprogram the terminal.
 */
export function oneLine(text: string): string {
  return text
    .trim()
    .replace(/\s*[\r\n]+\s*/g, ' ')
    .replace(/[\u0000-\u001f\u007f-\u009f]/g, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`);
}
