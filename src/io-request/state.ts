/**
 * The four states of a slot and who owns it in each.
 *
 * Source: `ACRN_IOREQ_STATE_*` in the UAPI header `linux/acrn.h`. The numbers do not follow the life cycle
 * FREE → PENDING → PROCESSING → COMPLETE → FREE, and PENDING is 0: a zeroed page is sixteen pending requests.
 */

export const IoRequestState = { PENDING: 0, COMPLETE: 1, PROCESSING: 2, FREE: 3 } as const;
export type IoRequestState = (typeof IoRequestState)[keyof typeof IoRequestState];

export type SlotOwner = 'hypervisor' | 'service-vm' | 'none';

/** Who may touch a slot's bytes beside its state word. A word that is no state (a hostile page) belongs to nobody. */
export function ownerOf(state: number): SlotOwner {
  switch (state) {
    case IoRequestState.FREE:
    case IoRequestState.COMPLETE:
      return 'hypervisor';
    case IoRequestState.PENDING:
    case IoRequestState.PROCESSING:
      return 'service-vm';
    default:
      return 'none';
  }
}

const NAMES = ['PENDING', 'COMPLETE', 'PROCESSING', 'FREE'] as const;

/** The state's name in the document, or its number when the word holds no state. */
export function stateName(state: number): string {
  return NAMES[state] ?? `state ${state}`;
}
