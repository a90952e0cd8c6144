/**
 * SlotGrid: the part of the diagram with the slots of the shared page. Slots without a vCPU are
 * hidden, except one that is not FREE, until a button shows all sixteen, eight per row. Up to
 * MAX_LARGE shown slots are large. Tab reaches one slot, and the arrow keys move the focus to the
 * others.
 */

import { computed, type Signal } from '@preact/signals';
import type { JSX } from 'preact';
import { useMemo, useRef } from 'preact/hooks';
import type { Live } from '../live/live.js';
import { shortAge } from '../../view/amounts.js';
import { hasValue, type SlotView } from '../../view/slots-frame.js';
import { useApp } from '../parts/app-context.js';
import { StateMark } from '../parts/state-mark.js';
import { strings } from '../settings.js';

/** Most slots in one row. */
const COLUMNS = 8;
/** If at most this many slots are shown, they are large. */
const MAX_LARGE = 4;
/** From this number of large slots on, the smaller text of diagram.css is used. */
const MIN_NARROW = 3;

/**
 * The numbers of the slots that have a vCPU (slot 0 until that is known), and of others that are
 * not FREE.
 */
function usedSlots(live: Live): readonly number[] {
  const isUsed = (slot: Signal<SlotView | undefined>, vcpu: number): boolean =>
    vcpu < Math.max(1, live.vcpus.value) || (slot.value?.state ?? 'FREE') !== 'FREE';
  return live.slots.flatMap((slot, vcpu) => (isUsed(slot, vcpu) ? [vcpu] : []));
}

/** The page's box: its title, the button, and the slots. */
export function SlotGrid(): JSX.Element {
  const { live, ui } = useApp();
  const { diagram } = strings();
  const grid = useRef<HTMLDivElement>(null);
  // As text: a signal with a new array at each frame would draw the grid again.
  const usedText = useMemo(() => computed(() => usedSlots(live).join()), [live]);
  const used = usedText.value.split(',').map(Number);
  const all = live.slots.map((_, vcpu) => vcpu);
  const isFolded = !ui.showsUnusedSlots.value && used.length < all.length;
  const shown = isFolded ? used : all;
  const columns = shown.length <= MAX_LARGE ? shown.length : Math.min(COLUMNS, Math.ceil(shown.length / 2));
  const isLarge = shown.length <= MAX_LARGE;
  const focusable = shown.includes(ui.pinnedSlot.value) ? ui.pinnedSlot.value : shown[0];
  const onKeyDown = (event: KeyboardEvent): void => {
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const next = shown[shown.indexOf(ui.shownSlot.value) + step];
    if (next === undefined) return;
    ui.pinnedSlot.value = next;
    ui.pointedSlot.value = undefined;
    grid.current?.querySelector<HTMLElement>(`[data-slot="${next}"]`)?.focus();
  };
  return (
    <>
      {used.length < all.length && (
        <button
          type="button"
          class="quiet fold"
          aria-expanded={!isFolded}
          onClick={() => (ui.showsUnusedSlots.value = isFolded)}
        >
          {isFolded ? '▸' : '▾'} {diagram.unusedSlots(all.length - used.length)}
        </button>
      )}
      <div
        class={`slots${isLarge ? ' large' : ''}${isLarge && columns >= MIN_NARROW ? ' narrow' : ''}`}
        style={{ '--columns': `${columns}` }}
        role="group"
        aria-label={diagram.page}
        ref={grid}
        onKeyDown={onKeyDown}
        onMouseLeave={() => (ui.pointedSlot.value = undefined)}
      >
        {shown.map((vcpu) => (
          <SlotCell key={vcpu} vcpu={vcpu} isLarge={isLarge} isFocusable={vcpu === focusable} />
        ))}
      </div>
    </>
  );
}

interface SlotCellProps {
  readonly vcpu: number;
  readonly isLarge: boolean;
  readonly isFocusable: boolean;
}

function SlotCell({ vcpu, isLarge, isFocusable }: SlotCellProps): JSX.Element {
  const { live, ui } = useApp();
  const { state: words, slot: slotWords } = strings();
  const view = live.slots[vcpu]?.value;
  const isUsed = vcpu < live.vcpus.value;
  const isPinned = ui.pinnedSlot.value === vcpu;
  const isShown = ui.shownSlot.value === vcpu;
  const state = view?.state ?? 'FREE';
  const wasUsed = view !== undefined && view.moves > 0;
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
      tabIndex={isFocusable ? 0 : -1}
      onMouseEnter={() => (ui.pointedSlot.value = vcpu)}
      onClick={pin}
    >
      <span class="slot-top">
        {/* A string, because Preact treats the number 0 as new content each time. */}
        <span class="slot-number">{`${vcpu}`}</span>
        {isLarge && <span class="slot-state">{isUsed ? state : words.unused}</span>}
        {view?.held !== undefined && <span class="slot-held" title={words.heldAt[view.held]} />}
        <StateMark state={state} />
      </span>
      {!isLarge && <span class="slot-state">{isUsed ? state : words.unused}</span>}
      <span class="slot-access">{wasUsed ? (isLarge ? longAccess(view) : shortAccess(view)) : '\u00a0'}</span>
      {isLarge && <span class="slot-client">{wasUsed ? clientOf(live, view) : '\u00a0'}</span>}
      {isUsed && (
        <span class="slot-owner">
          <span title={words.owner[view?.owner ?? 'hypervisor']}>
            {(isLarge ? words.owner : words.ownerShort)[view?.owner ?? 'hypervisor']}
          </span>
          <span>{wasUsed ? shortAge(view.ageNs).replace(' ', '') : ''}</span>
        </span>
      )}
    </button>
  );
}

/** The access in short, for example `W 3f8`. */
function shortAccess({ isWrite, address }: SlotView): string {
  return `${isWrite ? 'W' : 'R'} ${address.replace(/^0x/, '')}`;
}

/** The whole request, for example `write port 0x3f8/1 = 0x41`. */
function longAccess(view: SlotView): string {
  const { access } = strings();
  const types: Readonly<Record<string, string>> = access.types;
  const value = hasValue(view) ? ` = ${view.value}` : '';
  return `${view.isWrite ? access.write : access.read} ${types[view.type] ?? view.type} ${view.address}/${view.size}${value}`;
}

/** The name of the most recent client. A PENDING request has no client yet. */
function clientOf(live: Live, { client, state }: SlotView): string {
  return (state === 'PENDING' || client === undefined ? undefined : live.clients.value[client]?.name) ?? '\u00a0';
}
