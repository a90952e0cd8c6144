/**
 * Header: the VM's name, state and request rate, the debugger's buttons (hold, step, continue),
 * language and theme.
 */

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

/** The debugger's buttons and their shortcuts. */
function StopControls(): JSX.Element {
  const { live, ui } = useApp();
  const { header } = strings();
  const holdAll = live.stops.value?.holdAll ?? { pending: false, complete: false };
  const isHeld = selectedStop(live, ui.shownSlot.value) !== undefined;
  useEffect(() => {
    const ends = [
      onCommand('holdPending', () => toggleHold(live, 'pending')),
      onCommand('holdComplete', () => toggleHold(live, 'complete')),
      onCommand('step', () => act(live, ui.shownSlot.value, 'step')),
      onCommand('go', () => act(live, ui.shownSlot.value, 'go')),
      onCommand('goAll', () => continueAll(live)),
    ];
    return () => ends.forEach((end) => end());
  }, [live, ui]);
  return (
    <div class="stop-controls" role="group" aria-label={strings().stops.title}>
      <Control keys="h" isOn={holdAll.pending} text={header.holdPending} onClick={() => toggleHold(live, 'pending')} />
      <Control
        keys="j"
        isOn={holdAll.complete}
        text={header.holdComplete}
        onClick={() => toggleHold(live, 'complete')}
      />
      <Control keys="s" isEnabled={isHeld} text={header.step} onClick={() => act(live, ui.shownSlot.value, 'step')} />
      <Control keys="g" isEnabled={isHeld} text={header.go} onClick={() => act(live, ui.shownSlot.value, 'go')} />
      <Control keys="a" isEnabled={isHeld} text={header.goAll} onClick={() => continueAll(live)} />
    </div>
  );
}

interface ControlProps {
  /** The shortcut that does the same. */
  readonly keys: string;
  readonly text: string;
  /** Whether a toggle is on. Undefined: the button is not a toggle. */
  readonly isOn?: boolean;
  readonly isEnabled?: boolean;
  readonly onClick: () => void;
}

function Control({ keys, text, isOn, isEnabled = true, onClick }: ControlProps): JSX.Element {
  return (
    <button
      type="button"
      class={isOn === undefined ? undefined : 'toggle'}
      aria-pressed={isOn}
      aria-disabled={!isEnabled}
      aria-keyshortcuts={keys}
      onClick={onClick}
    >
      {text}
    </button>
  );
}

/** The choices of language and theme, and the button for the help. */
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

/** Releases the selected request: `step` until the next stop of its vCPU, `go` without one. */
function act(live: Live, shownSlot: number, kind: 'step' | 'go'): void {
  const stop = selectedStop(live, shownSlot);
  if (stop !== undefined) void live.run({ kind, vcpu: stop.vcpu });
}

function continueAll(live: Live): void {
  void live.run({ kind: 'go', vcpu: null });
}

function toggleHold(live: Live, point: 'pending' | 'complete'): void {
  const { pending, complete } = live.stops.value?.holdAll ?? { pending: false, complete: false };
  const next = point === 'pending' ? { pending: !pending, complete } : { pending, complete: !complete };
  void live.run({ kind: 'hold-all', ...next });
}

/** The value after `value`, cyclically. */
function after<Value>(values: readonly Value[], value: Value): Value {
  return values[(values.indexOf(value) + 1) % values.length] ?? value;
}
