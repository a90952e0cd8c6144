/**
 * UiState: the state of the page itself: tabs, the selected slot, the timeline's filter. The server
 * is asked for visible data only.
 */

import { computed, effect, signal } from '@preact/signals';
import type { MoveFilterFields } from '../protocol.js';
import type { Live } from './live/live.js';

export const LOWER_TABS = ['timeline', 'clients', 'latency', 'unclaimed', 'events'] as const;
export type LowerTab = (typeof LOWER_TABS)[number];
export const SIDE_TABS = ['slot', 'stops', 'device'] as const;
export type SideTab = (typeof SIDE_TABS)[number];

/** Room for all views at once. The style sheets have the same sizes. */
const WIDE = '(min-width: 2300px) and (min-height: 1250px)';

export class UiState {
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
  readonly isVisible = signal(!document.hidden);

  /** Makes the server send what is visible, from now on. */
  connect(live: Live): void {
    const wide = matchMedia(WIDE);
    this.isWide.value = wide.matches;
    wide.addEventListener('change', ({ matches }) => (this.isWide.value = matches));
    document.addEventListener('visibilitychange', () => (this.isVisible.value = !document.hidden));
    effect(() => {
      const isVisible = this.isVisible.value;
      const needsMoves = isVisible && !this.isPaused.value && this.shows('timeline');
      live.watch(isVisible, isVisible, needsMoves ? this.moveFilter.value : null);
    });
    effect(() => live.pauseMoves(this.isPaused.value));
  }

  /** Whether a view is visible. Reads signals: call it in a render or an effect. */
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
