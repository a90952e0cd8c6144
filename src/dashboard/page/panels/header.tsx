/** Header: the VM's name and state, the debugger's buttons, language and theme. */

import type { JSX } from 'preact';
import { useEffect } from 'preact/hooks';
import type { StopRow } from '../../protocol.js';
import { shortCount } from '../../view/amounts.js';
import type { Live } from '../live/live.js';
import { useApp } from '../parts/app-context.js';
import { chooseLanguage, chooseTheme, language, LANGUAGES, strings, theme, THEMES } from '../settings.js';
import { onCommand } from '../shortcuts.js';

export function Header(): JSX.Element {
  const { live } = useApp();
  const { header } = strings();
  return (
    <header class="header">
      <h1>
        upcall <span class="vm-name">{live.welcome.value?.vm.name}</span>
      </h1>
      <VmState />
      <span class="total">
        <b class="rate">{shortCount(live.tables.value?.perSecond ?? 0)}</b> {header.requests}
        {header.perSecond}
      </span>
      <StopControls />
      <Choices />
    </header>
  );
}

function VmState(): JSX.Element {
  const { live } = useApp();
  const { header, connection } = strings();
  const ended = live.ended.value;
  const state = live.connection.value;
  const held = live.stops.value?.stops.length ?? 0;
  if (ended !== undefined)
    return (
      <span class="vm-state over" role="status">
        {header.ended}: {ended.message}
      </span>
    );
  if (state !== 'open')
    return (
      <span class="vm-state lost" role="status">
        {connection[state]}
      </span>
    );
  return (
    <span class={`vm-state ${held > 0 ? 'held' : 'running'}`} role="status">
      {held > 0 ? header.held(held) : header.running}
    </span>
  );
}

function StopControls(): JSX.Element {
  const { live, ui } = useApp();
  const { header } = strings();
  const holdAll = live.stops.value?.holdAll ?? { pending: false, complete: false };
  const stop = selectedStop(live, ui.shownSlot.value);
  useEffect(() => {
    const ends = [
      onCommand('holdPending', () => toggleHold(live, 'pending')),
      onCommand('holdComplete', () => toggleHold(live, 'complete')),
      onCommand('step', () => act(live, ui.shownSlot.value, 'step')),
      onCommand('go', () => act(live, ui.shownSlot.value, 'go')),
      onCommand('goAll', () => void live.run({ kind: 'go', vcpu: null })),
    ];
    return () => ends.forEach((end) => end());
  }, [live, ui]);
  return (
    <div class="stop-controls" role="group" aria-label={strings().stops.title}>
      <button
        type="button"
        class="toggle"
        aria-pressed={holdAll.pending}
        aria-keyshortcuts="h"
        onClick={() => toggleHold(live, 'pending')}
      >
        {header.holdPending}
      </button>
      <button
        type="button"
        class="toggle"
        aria-pressed={holdAll.complete}
        aria-keyshortcuts="j"
        onClick={() => toggleHold(live, 'complete')}
      >
        {header.holdComplete}
      </button>
      <button
        type="button"
        aria-keyshortcuts="s"
        aria-disabled={stop === undefined}
        onClick={() => act(live, ui.shownSlot.value, 'step')}
      >
        {header.step}
      </button>
      <button
        type="button"
        aria-keyshortcuts="g"
        aria-disabled={stop === undefined}
        onClick={() => act(live, ui.shownSlot.value, 'go')}
      >
        {header.go}
      </button>
      <button
        type="button"
        aria-keyshortcuts="a"
        aria-disabled={stop === undefined}
        onClick={() => void live.run({ kind: 'go', vcpu: null })}
      >
        {header.goAll}
      </button>
    </div>
  );
}

function Choices(): JSX.Element {
  const { ui } = useApp();
  const { header } = strings();
  useEffect(() => {
    const ends = [
      onCommand('language', () => chooseLanguage(after(LANGUAGES, language.value))),
      onCommand('theme', () => chooseTheme(after(THEMES, theme.value))),
    ];
    return () => ends.forEach((end) => end());
  }, []);
  return (
    <div class="choices">
      <select
        aria-label={header.language}
        value={language.value}
        onChange={({ currentTarget }) => chooseLanguage(LANGUAGES.find((one) => one === currentTarget.value) ?? 'en')}
      >
        <option value="en" lang="en">
          English
        </option>
        <option value="zh" lang="zh-Hans">
          简体中文
        </option>
      </select>
      <select
        aria-label={header.theme}
        value={theme.value}
        onChange={({ currentTarget }) => chooseTheme(THEMES.find((one) => one === currentTarget.value) ?? 'system')}
      >
        {THEMES.map((one) => (
          <option key={one} value={one}>
            {header.themes[one]}
          </option>
        ))}
      </select>
      <button type="button" aria-label={header.help} title={header.help} onClick={() => (ui.isHelpOpen.value = true)}>
        ?
      </button>
    </div>
  );
}

/** The held request that keys and buttons act on: that of the shown slot, or else the first. */
function selectedStop(live: Live, vcpu: number): StopRow | undefined {
  const stops = live.stops.value?.stops ?? [];
  return stops.find((stop) => stop.vcpu === vcpu) ?? stops[0];
}

function act(live: Live, shownSlot: number, kind: 'step' | 'go'): void {
  const stop = selectedStop(live, shownSlot);
  if (stop !== undefined) void live.run({ kind, vcpu: stop.vcpu });
}

function toggleHold(live: Live, point: 'pending' | 'complete'): void {
  const { pending, complete } = live.stops.value?.holdAll ?? { pending: false, complete: false };
  const next = point === 'pending' ? { pending: !pending, complete } : { pending, complete: !complete };
  void live.run({ kind: 'hold-all', ...next });
}

function after<Value>(values: readonly Value[], value: Value): Value {
  return values[(values.indexOf(value) + 1) % values.length] ?? value;
}
