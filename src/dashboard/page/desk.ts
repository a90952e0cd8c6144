/**
 * Desk: what this reader looks at: tabs, the slot under the pointer, the timeline's filter. The server is asked for what
 * is to be seen on the desk and nothing else.
 */

import { computed, effect, signal } from '@preact/signals';
import type { MoveFilterFields } from '../protocol.js';
import type { Live } from './live/live.js';

export const LOWER_TABS = ['timeline', 'clients', 'latency', 'unclaimed', 'news'] as const;
export type LowerTab = (typeof LOWER_TABS)[number];
export const SIDE_TABS = ['slot', 'stops', 'device'] as const;
export type SideTab = (typeof SIDE_TABS)[number];

/** From here on there is room for all views at once; the same sizes stand in the style sheets. */
const WIDE = '(min-width: 2300px) and (min-height: 1250px)';

export class Desk {
  readonly lowerTab = signal<LowerTab>('timeline');
  readonly sideTab = signal<SideTab>('slot');
  readonly isWide = signal(false);
  readonly pinnedSlot = signal(0);
  readonly pointedSlot = signal<number | undefined>(undefined);
  readonly shownSlot = computed(() => this.pointedSlot.value ?? this.pinnedSlot.value);
  /** Index of the client whose registers are shown. */
  readonly deviceClient = signal<number | undefined>(undefined);
  readonly isHelpOpen = signal(false);
  readonly moveFilter = signal<MoveFilterFields>({});
  readonly isPaused = signal(false);
  readonly isSeen = signal(!document.hidden);

  /** From now on the server is asked for what is on the desk. */
  attend(live: Live): void {
    const wide = matchMedia(WIDE);
    this.isWide.value = wide.matches;
    wide.addEventListener('change', ({ matches }) => (this.isWide.value = matches));
    document.addEventListener('visibilitychange', () => (this.isSeen.value = !document.hidden));
    effect(() => {
      const isSeen = this.isSeen.value;
      const wantsMoves = isSeen && !this.isPaused.value && this.shows('timeline');
      live.watch(isSeen, isSeen, wantsMoves ? this.moveFilter.value : null);
    });
    effect(() => live.pauseMoves(this.isPaused.value));
  }

  /** Whether a view is to be seen; to be asked in a render or an effect. */
  shows(tab: LowerTab | SideTab): boolean {
    return this.isWide.value || this.lowerTab.value === tab || this.sideTab.value === tab;
  }

  show(tab: LowerTab | SideTab): void {
    if (isLower(tab)) this.lowerTab.value = tab;
    else this.sideTab.value = tab;
  }
}

function isLower(tab: LowerTab | SideTab): tab is LowerTab {
  return (LOWER_TABS as readonly string[]).includes(tab);
}
