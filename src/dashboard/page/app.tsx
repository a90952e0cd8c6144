/**
 * App: the root component of the page: the header, the diagram, the console and two docks (places
 * with tabs, parts/dock.tsx). It opens the connection, and handles the shortcuts that choose a
 * view, focus the slots, pause the timeline or begin a breakpoint.
 */

import type { JSX } from 'preact';
import { useEffect } from 'preact/hooks';
import { LOWER_TABS, SIDE_TABS } from './ui-state.js';
import { ClientsPanel } from './panels/clients-panel.js';
import { ConsolePanel } from './panels/console-panel.js';
import { DevicePanel } from './panels/device-panel.js';
import { Header } from './panels/header.js';
import { Help } from './panels/help.js';
import { InterruptsPanel } from './panels/interrupts-panel.js';
import { LatencyPanel } from './panels/latency-panel.js';
import { EventsPanel } from './panels/events-panel.js';
import { Diagram } from './panels/diagram.js';
import { SlotPanel } from './panels/slot-panel.js';
import { StopsPanel } from './panels/stops-panel.js';
import { TimelinePanel } from './panels/timeline-panel.js';
import { UnclaimedPanel } from './panels/unclaimed-panel.js';
import { useApp } from './parts/app-context.js';
import { Dock } from './parts/dock.js';
import { focusWhenDrawn } from './parts/focus-when-drawn.js';
import { strings } from './settings.js';
import { onCommand } from './shortcuts.js';

const LOWER_CONTENT = {
  timeline: () => <TimelinePanel />,
  clients: () => <ClientsPanel />,
  latency: () => <LatencyPanel />,
  unclaimed: () => <UnclaimedPanel />,
  interrupts: () => <InterruptsPanel />,
  events: () => <EventsPanel />,
} as const;
const SIDE_CONTENT = {
  slot: () => <SlotPanel />,
  stops: () => <StopsPanel />,
  device: () => <DevicePanel />,
} as const;

export function App(): JSX.Element {
  const { live, ui } = useApp();
  const words = strings();
  useEffect(() => {
    const tabs = [...LOWER_TABS, ...SIDE_TABS];
    const ends = tabs.map((tab, index) =>
      onCommand(`tab-${index}`, () => {
        ui.show(tab);
        focusWhenDrawn(() => document.getElementById(`view-${tab}`));
      }),
    );
    ends.push(
      onCommand('slots', () => document.querySelector<HTMLElement>('.slot[tabindex="0"]')?.focus()),
      onCommand('pause', () => (ui.isPaused.value = !ui.isPaused.value)),
      onCommand('addBreakpoint', () => {
        ui.show('stops');
        focusWhenDrawn(() => document.querySelector('.breakpoint-form [name="first"]'));
      }),
    );
    return () => ends.forEach((end) => end());
  }, [ui]);
  useEffect(() => live.open(), [live]);
  const held = live.stops.value?.stops.length ?? 0;
  const events = live.events.value.length;
  const lowerBadge = (tab: string): string | undefined => (tab === 'events' && events > 0 ? `${events}` : undefined);
  return (
    <div class="app">
      <Header />
      <Diagram />
      <ConsolePanel />
      <Dock
        name="lower"
        views={LOWER_TABS.map((id) => ({
          id,
          title: words[id].title,
          badge: lowerBadge(id),
          content: LOWER_CONTENT[id],
        }))}
        selected={ui.lowerTab.value}
        isWide={ui.isWide.value}
        onSelect={(id) => ui.show(id)}
      />
      <Dock
        name="side"
        views={SIDE_TABS.map((id) => ({
          id,
          title: words[id].title,
          badge: id === 'stops' && held > 0 ? `${held}` : undefined,
          content: SIDE_CONTENT[id],
        }))}
        selected={ui.sideTab.value}
        isWide={ui.isWide.value}
        onSelect={(id) => ui.show(id)}
      />
      <Help />
    </div>
  );
}
