/**
 * UiState: the state of the page itself, as signals: tabs, the selected slot, the timeline's
 * filter. It makes the server send samples only while the browser shows the page, moves only while
 * the timeline lists them, and interrupts only while their view is shown.
 *
 * Called by: main.tsx, once (`connect`); components, through useApp (parts/app-context.ts).
 */

import { computed, effect, signal } from '@preact/signals';
import type { MoveFilterFields } from '../protocol.js';
import type { Live } from './live/live.js';

export const LOWER_TABS = ['timeline', 'clients', 'latency', 'unclaimed', 'interrupts', 'events'] as const;
export type LowerTab = (typeof LOWER_TABS)[number];
export const SIDE_TABS = ['slot', 'stops', 'device'] as const;
export type SideTab = (typeof SIDE_TABS)[number];

/** A window of this size has room for all views at once. layout.css has the same sizes. */
const WIDE = '(min-width: 2300px) and (min-height: 1250px)';

export class UiState {
  readonly lowerTab = signal<LowerTab>('timeline');
  readonly sideTab = signal<SideTab>('slot');
  /** Whether all views are shown at once, without tabs. */
  readonly isWide = signal(false);
  /**
   * The slot that was clicked, and the one under the mouse. The latter is shown while it is there.
   */
  readonly pinnedSlot = signal(0);
  readonly pointedSlot = signal<number | undefined>(undefined);
  readonly shownSlot = computed(() => this.pointedSlot.value ?? this.pinnedSlot.value);
  /** Whether the slots without a vCPU are shown. */
  readonly showsUnusedSlots = signal(false);
  /** Index of the client whose registers are shown. */
  readonly deviceClient = signal<number | undefined>(undefined);
  readonly isHelpOpen = signal(false);
  readonly moveFilter = signal<MoveFilterFields>({});
  /** Whether the timeline has a line for each move, and not for each request. */
  readonly showsMoves = signal(false);
  /** Whether the timeline is paused. */
  readonly isPaused = signal(false);
  /** Whether the browser shows the page. */
  readonly isVisible = signal(!document.hidden);

  /** From now on, makes the server send what is visible. */
  connect(live: Live): void {
    const wide = matchMedia(WIDE);
    this.isWide.value = wide.matches;
    wide.addEventListener('change', ({ matches }) => (this.isWide.value = matches));
    document.addEventListener('visibilitychange', () => (this.isVisible.value = !document.hidden));
    effect(() => {
      const isVisible = this.isVisible.value;
      // Read in any case: an effect runs again for what it has read.
      const isPaused = this.isPaused.value;
      const interrupts = isVisible && this.shows('interrupts');
      const needsMoves = isVisible && !isPaused && this.shows('timeline');
      const moves = needsMoves ? this.moveFilter.value : null;
      live.watch({ slots: isVisible, tables: isVisible, moves, interrupts });
      // After `watch`: when moves are watched again after a pause, `watch` keeps the listed ones
      // because the list is still paused.
      live.pauseMoves(isPaused);
    });
  }

  /** Whether a view is visible. Reads signals: call it in a render or an effect. */
  shows(tab: LowerTab | SideTab): boolean {
    return this.isWide.value || this.lowerTab.value === tab || this.sideTab.value === tab;
  }

  /** Chooses the tab of a view. */
  show(tab: LowerTab | SideTab): void {
    if (isLower(tab)) this.lowerTab.value = tab;
    else this.sideTab.value = tab;
  }
}

function isLower(tab: LowerTab | SideTab): tab is LowerTab {
  return (LOWER_TABS as readonly string[]).includes(tab);
}
