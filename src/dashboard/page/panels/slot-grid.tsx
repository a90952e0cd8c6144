/**
 * The sixteen slots of the shared page, alive. One of them has the keyboard's focus; the arrow keys go from one to the
 * next as the eye does, eight in a row.
 */

import type { Signal } from '@preact/signals';
import type { JSX } from 'preact';
import { useRef } from 'preact/hooks';
import { shortAge } from '../../view/amounts.js';
import type { SlotView } from '../../view/slots-frame.js';
import { useSurroundings } from '../parts/context.js';
import { StateMark } from '../parts/state-mark.js';
import { strings } from '../settings.js';

const COLUMNS = 8;

export function SlotGrid(): JSX.Element {
  const { live, desk } = useSurroundings();
  const grid = useRef<HTMLDivElement>(null);
  const onKeyDown = (event: KeyboardEvent): void => {
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: COLUMNS, ArrowUp: -COLUMNS }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const next = desk.shownSlot.value + step;
    if (next < 0 || next >= live.slots.length) return;
    desk.pinnedSlot.value = next;
    desk.pointedSlot.value = undefined;
    grid.current?.querySelector<HTMLElement>(`[data-slot="${next}"]`)?.focus();
  };
  return (
    <div
      class="slots"
      role="group"
      aria-label={strings().picture.page}
      ref={grid}
      onKeyDown={onKeyDown}
      onMouseLeave={() => (desk.pointedSlot.value = undefined)}
    >
      {live.slots.map((slot, vcpu) => (
        <SlotCell key={vcpu} vcpu={vcpu} slot={slot} />
      ))}
    </div>
  );
}

function SlotCell({ vcpu, slot }: { readonly vcpu: number; readonly slot: Signal<SlotView | undefined> }): JSX.Element {
  const { live, desk } = useSurroundings();
  const { state: words, slot: slotWords } = strings();
  const view = slot.value;
  const isUsed = vcpu < live.vcpus.value;
  const isPinned = desk.pinnedSlot.value === vcpu;
  const isShown = desk.shownSlot.value === vcpu;
  const state = view?.state ?? 'FREE';
  const pin = (): void => {
    desk.pinnedSlot.value = vcpu;
    desk.show('slot');
  };
  return (
    <button
      type="button"
      class={`slot state-${state.toLowerCase()}${isUsed ? '' : ' unused'}${isShown ? ' shown' : ''}`}
      data-slot={vcpu}
      aria-label={`${slotWords.title} ${vcpu}: ${isUsed ? state : words.unused}`}
      data-state={state}
      aria-pressed={isPinned}
      tabIndex={isPinned ? 0 : -1}
      onMouseEnter={() => (desk.pointedSlot.value = vcpu)}
      onClick={pin}
    >
      <span class="slot-top">
        {/* As text: Preact takes the number 0 for something new each time. */}
        <span class="slot-number">{`${vcpu}`}</span>
        {view?.held !== undefined && <span class="slot-held" title={words.heldAt[view.held]} />}
        <StateMark state={state} />
      </span>
      <span class="slot-state">{isUsed ? state : words.unused}</span>
      <span class="slot-access">{view !== undefined && view.moves > 0 ? accessOf(view) : '\u00a0'}</span>
      {isUsed && (
        <span class="slot-owner">
          <span title={words.owner[view?.owner ?? 'hypervisor']}>{words.ownerShort[view?.owner ?? 'hypervisor']}</span>
          <span>{view !== undefined && view.moves > 0 ? shortAge(view.ageNs).replace(' ', '') : ''}</span>
        </span>
      )}
    </button>
  );
}

function accessOf({ isWrite, address }: SlotView): string {
  return `${isWrite ? 'W' : 'R'} ${address.replace(/^0x/, '')}`;
}
