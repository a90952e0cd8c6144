/**
 * Adaptations: how the explored code differs from the shipped one, beside being able to stop. They make times and long
 * counts small, so that the states are finitely many, and take away no behaviour; each says why. A text that is gone is
 * an error: then the shipped code has changed, and somebody has to think.
 */

export interface TextChange {
  /** A module, from the root of the compiled sources, without `.js`. */
  readonly module: string;
  /** Stands there exactly once, apart from white space. */
  readonly from: string;
  readonly to: string;
}

export interface Adaptation extends TextChange {
  readonly why: string;
}

export const ADAPTATIONS: readonly Adaptation[] = [
  {
    module: 'sync/adaptive-spin',
    from: 'MAX_SPIN_US = 100',
    to: 'MAX_SPIN_US = 0',
    why: 'Looking for a while before sleeping is looking once, later.',
  },
  {
    module: 'sync/adaptive-spin',
    from: 'MAX_EVENT_LOOP_SPIN_US = 50',
    to: 'MAX_EVENT_LOOP_SPIN_US = 0',
    why: 'The same, in a thread with an event loop.',
  },
  {
    module: 'sync/poll-delay',
    from: 'MAX_DELAY_STEPS = 512',
    to: 'MAX_DELAY_STEPS = 0',
    why: 'Keeping away for a while is looking later, which a schedule can do anyway.',
  },
  {
    module: 'sync/poll-delay',
    from: 'OUTLIER_POLLS = 256',
    to: 'OUTLIER_POLLS = 0',
    why: 'What looks are counted for is how long to keep away.',
  },
  {
    module: 'hsm/dispatch-worker',
    from: 'PASSES_PER_TURN = 1024',
    to: 'PASSES_PER_TURN = 1',
    why: 'A turn of the loop in which nothing else runs is no turn; so turning after each pass contains turning later.',
  },
  {
    module: 'hsm/clear-wait',
    from: 'CLEAR_ROUNDS = 10',
    to: 'CLEAR_ROUNDS = 2',
    why: 'A round of CLEAR may take any time here, so that two rounds contain the first, one in the middle and the last.',
  },
  {
    module: 'hsm/assignments',
    from: 'const ticket = (this.#nextTicket = this.#nextTicket === MAX_TICKET ? 1 : this.#nextTicket + 1);',
    to: 'const ticket = this.#requests[vcpu].ticket + 1;',
    why: 'A ticket is only ever compared with others of its slot: in which order slots got theirs is no state.',
  },
];

/** `text` with `change` made. Throws when what it changes stands there more than once or not at all. */
export function changeText(text: string, { module, from, to }: TextChange): string {
  const words = from
    .trim()
    .split(/\s+/)
    .map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  const pattern = new RegExp(words.join('\\s+'), 'g');
  const count = text.match(pattern)?.length ?? 0;
  if (count !== 1) throw new Error(`GONE: in ${module} this stands ${count} times, not once: ${from}`);
  return text.replace(pattern, () => to);
}
