/**
 * interruptTables: the tables of `--stats` that are about interrupts: lines, messages, and the
 * doorbells of cards. What a guest did not use has no table.
 *
 * Called by: statisticsTable. Lines fit 80 columns, but for names and owners that are longer.
 */

import type { InterruptState, LineState, MessageState } from '../vm/vm-interrupts.js';
import { textTable } from './text-table.js';

/** How many messages are shown. A line counts the others. */
export const SHOWN_MESSAGES = 20;

/** The lines of text. */
export function interruptTables({ lines, messages, doorbells }: InterruptState): string[] {
  const used = lines.filter(({ isHigh, rises = 0 }) => isHigh || rises > 0);
  const busiest = [...messages].sort((a, b) => b.sent + b.refused - a.sent - a.refused);
  return [
    ...table(
      ['interrupt lines', 'rises', 'EOIs', 'at the end', 'driven by'],
      ['left', 'right', 'right', 'left', 'left'],
      used.map(lineRow),
    ),
    ...table(
      ['messages of', 'vector', 'sent', 'pending', 'refused'],
      ['left', 'right', 'right', 'right', 'right'],
      busiest.slice(0, SHOWN_MESSAGES).map(messageRow),
    ),
    ...rest(busiest.slice(SHOWN_MESSAGES)),
    ...table(
      ['doorbells of', 'writes'],
      ['left', 'right'],
      doorbells.map(({ card, writes }) => [`  ${card}`, String(writes)]),
    ),
  ];
}

function table(head: string[], aligns: ('left' | 'right')[], rows: string[][]): string[] {
  return rows.length === 0 ? [] : textTable([head, ...rows], aligns);
}

function lineRow({ line, owners, isHigh, rises, ends }: LineState): string[] {
  return [`  ${line}`, String(rises ?? '-'), String(ends ?? '-'), isHigh ? 'high' : 'low', owners.join(', ')];
}

function messageRow({ source, vector, sent, isPending, refused }: MessageState): string[] {
  return [`  ${source}`, String(vector), String(sent), isPending ? 'yes' : 'no', String(refused)];
}

function rest(hidden: readonly MessageState[]): string[] {
  const sent = hidden.reduce((sum, message) => sum + message.sent, 0);
  return hidden.length === 0 ? [] : [`${hidden.length} more kinds of messages, ${sent} sent`];
}
