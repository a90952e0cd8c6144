/** Exit statuses of the command line, for scripts. `upcall run --help` prints the table. */

export const ExitStatus = {
  // MEANINGS below says what each stands for.
  OK: 0,
  GUEST_FAILED: 1,
  BAD_INPUT: 2,
  TIMED_OUT: 3,
  /** EX_SOFTWARE of BSD's sysexits. */
  INTERNAL_ERROR: 70,
  /** From here on 128 + signal number, as in shells. */
  HUNG_UP: 129,
  INTERRUPTED: 130,
  QUIT: 131,
  OUTPUT_CLOSED: 141,
  TERMINATED: 143,
} as const;
export type ExitStatus = (typeof ExitStatus)[keyof typeof ExitStatus];

/** Statuses of a command, and what each says. */
export type StatusMeanings = readonly (readonly [ExitStatus, string])[];

/** Of all commands that run a guest. */
const MEANINGS: StatusMeanings = [
  [ExitStatus.OK, 'the guest powered off, the expected text appeared, or you left with the escape key'],
  [
    ExitStatus.GUEST_FAILED,
    'the guest failed: triple fault, halted forever, reset loop, crashed hypervisor, or a value other than 0 at the debug exit port, as debian --run writes the status of commands that fail; the last --save failed; doctor: no hypervisor runs here; compare: a difference that is not explained',
  ],
  [ExitStatus.BAD_INPUT, 'invalid usage or input; one line on standard error says how to fix it'],
  [
    ExitStatus.TIMED_OUT,
    'the timeout passed, or the session ended before the text of --expect or --save-after appeared',
  ],
  [ExitStatus.INTERNAL_ERROR, 'an unexpected error, in upcall or in one of your devices'],
  [ExitStatus.HUNG_UP, 'ended by SIGHUP'],
  [ExitStatus.INTERRUPTED, 'interrupted (SIGINT)'],
  [ExitStatus.QUIT, 'ended by SIGQUIT'],
  [ExitStatus.OUTPUT_CLOSED, 'the reader of standard output closed it (SIGPIPE)'],
  [ExitStatus.TERMINATED, 'ended by SIGTERM'],
];

/** The table as text for help pages, wrapped at `width` columns. */
export function exitStatusHelp(width = 80, meanings = MEANINGS): string {
  const lines = meanings.flatMap(([status, meaning]) => {
    const [first = '', ...rest] = wrap(meaning, width - 7);
    return [`  ${String(status).padStart(3)}  ${first}`, ...rest.map((line) => `       ${line}`)];
  });
  return ['Exit status:', ...lines].join('\n');
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}
