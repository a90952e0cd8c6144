/**
 * SlotGrid: the part of the diagram with the sixteen slots of the shared page, eight per row. Tab
 * reaches one of them, and the arrow keys move the focus to the others.
 */

import type { Signal } from '@preact/signals';
import type { JSX } from 'preact';
import { useRef } from 'preact/hooks';
import { shortAge } from '../../view/amounts.js';
import type { SlotView } from '../../view/slots-frame.js';
import { useApp } from '../parts/app-context.js';
import { StateMark } from '../parts/state-mark.js';
import { strings } from '../settings.js';

const COLUMNS = 8;

export function SlotGrid(): JSX.Element {
  const { live, ui } = useApp();
  const grid = useRef<HTMLDivElement>(null);
  const onKeyDown = (event: KeyboardEvent): void => {
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: COLUMNS, ArrowUp: -COLUMNS }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const next = ui.shownSlot.value + step;
    if (next < 0 || next >= live.slots.length) return;
    ui.pinnedSlot.value = next;
    ui.pointedSlot.value = undefined;
    grid.current?.querySelector<HTMLElement>(`[data-slot="${next}"]`)?.focus();
  };
  return (
    <div
      class="slots"
      role="group"
      aria-label={strings().diagram.page}
      ref={grid}
      onKeyDown={onKeyDown}
      onMouseLeave={() => (ui.pointedSlot.value = undefined)}
    >
      {live.slots.map((slot, vcpu) => (
        <SlotCell key={vcpu} vcpu={vcpu} slot={slot} />
      ))}
    </div>
  );
}

function SlotCell({ vcpu, slot }: { readonly vcpu: number; readonly slot: Signal<SlotView | undefined> }): JSX.Element {
  const { live, ui } = useApp();
  const { state: words, slot: slotWords } = strings();
  const view = slot.value;
  const isUsed = vcpu < live.vcpus.value;
  const isPinned = ui.pinnedSlot.value === vcpu;
  const isShown = ui.shownSlot.value === vcpu;
  const state = view?.state ?? 'FREE';
  const pin = (): void => {
    ui.pinnedSlot.value = vcpu;
    ui.show('slot');
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
      onMouseEnter={() => (ui.pointedSlot.value = vcpu)}
      onClick={pin}
    >
      <span class="slot-top">
        {/* A string, because Preact treats the number 0 as new content each time. */}
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

/** The access in short, for example `W 3f8`. */
function accessOf({ isWrite, address }: SlotView): string {
  return `${isWrite ? 'W' : 'R'} ${address.replace(/^0x/, '')}`;
}
