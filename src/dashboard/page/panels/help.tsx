/** Help: the dialog with the keyboard shortcuts and the shapes of the slots' states. */

import type { JSX } from 'preact';
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks';
import { useApp } from '../parts/app-context.js';
import { StateMark } from '../parts/state-mark.js';
import { strings } from '../settings.js';
import { onCommand, SHORTCUTS } from '../shortcuts.js';

export function Help(): JSX.Element {
  const { ui } = useApp();
  const dialog = useRef<HTMLDialogElement>(null);
  const { help, state: states } = strings();
  const isOpen = ui.isHelpOpen.value;
  useEffect(() => onCommand('help', () => (ui.isHelpOpen.value = !ui.isHelpOpen.value)), [ui]);
  // A layout effect runs in the same turn: an Escape that follows must find the dialog open.
  useLayoutEffect(() => {
    if (isOpen && dialog.current?.open === false) dialog.current.showModal();
    if (!isOpen) dialog.current?.close();
  }, [isOpen]);
  return (
    <dialog class="help" ref={dialog} aria-labelledby="title-help" onClose={() => (ui.isHelpOpen.value = false)}>
      <div class="help-head">
        <h2 id="title-help">{help.title}</h2>
        <button type="button" onClick={() => (ui.isHelpOpen.value = false)}>
          {help.close}
        </button>
      </div>
      <dl class="keys">
        {SHORTCUTS.map(({ name, keys }) => (
          <div key={name}>
            <dt>
              {keys.map((key) => (
                <kbd key={key}>{key}</kbd>
              ))}
            </dt>
            <dd>{help.keys[name]}</dd>
          </div>
        ))}
      </dl>
      <h2>{help.states}</h2>
      <dl class="keys states">
        {(['FREE', 'PENDING', 'PROCESSING', 'COMPLETE'] as const).map((state) => (
          <div key={state}>
            <dt class={`state state-${state.toLowerCase()}`}>
              <StateMark state={state} /> {state}
            </dt>
            <dd>
              {states.owner[state === 'FREE' || state === 'COMPLETE' ? 'hypervisor' : 'service-vm']}:{' '}
              {states.meaning[state]}
            </dd>
          </div>
        ))}
      </dl>
    </dialog>
  );
}
