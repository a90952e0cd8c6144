/**
 * IoRequestState: the four states of a slot, and the slot's owner in each.
 *
 * Source: `ACRN_IOREQ_STATE_*` in the UAPI header `linux/acrn.h`. The numbers do not follow the
 * life cycle FREE → PENDING → PROCESSING → COMPLETE → FREE. PENDING is 0: a zeroed page holds
 * sixteen pending requests.
 *
 * Called by: Slot, which makes the transitions; the code that polls or displays a state.
 */

export const IoRequestState = { PENDING: 0, COMPLETE: 1, PROCESSING: 2, FREE: 3 } as const;
export type IoRequestState = (typeof IoRequestState)[keyof typeof IoRequestState];

export type SlotOwner = 'hypervisor' | 'service-vm' | 'none';

/** The side that may access the slot's fields. An invalid state (hostile page) has no owner. */
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

/** The state's name. An invalid state gives `state N`. */
export function stateName(state: number): string {
  return NAMES[state] ?? `state ${state}`;
}
