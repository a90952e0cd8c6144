/**
 * The page's words in English for the view of held requests and breakpoints.
 *
 * Called by: en.ts.
 */

export const stops = {
  title: 'Breakpoints',
  held: 'Held requests',
  noneHeld: 'None. Hold all requests with the buttons above, or add a breakpoint.',
  value: 'Value',
  change: 'Change',
  changed: 'changed',
  invalidNumbers: 'Give hexadecimal numbers, such as 0x3f8, the lower address first, and lines from 0 to 47',
  cannotChange: {
    pending: 'a read has no value yet: step to COMPLETE',
    complete: 'a write returns no value: change it at PENDING',
  },
  since: 'for',
  breakpoints: 'Breakpoints',
  noBreakpoints: 'None.',
  add: 'Add',
  remove: (number: number) => `Remove breakpoint ${number}`,
  hits: (count: number) => (count === 1 ? '1 hit' : `${count} hits`),
  breakpoint: (number: number) => `breakpoint ${number}`,
  at: 'Stop at',
  client: 'Client',
  address: 'Address',
  direction: 'Direction',
  type: 'Type',
  expression: 'Expression',
  any: 'any',
  atPoint: { pending: 'PENDING', complete: 'before COMPLETE', interrupt: 'after an interrupt' },
  interrupt: 'Interrupt',
  interruptNames: {
    any: 'any interrupt',
    raised: 'line raised',
    lowered: 'line lowered',
    ended: 'ended (EOI)',
    sent: 'message sent',
    refused: 'message refused',
  },
  line: 'Line',
  vector: 'Vector',
  by: 'Device',
  detach: 'Remove all and continue',
  keepHeld: 'Keep requests held when no page is open',
  release: (seconds: string) => `(otherwise for ${seconds} s)`,
};
