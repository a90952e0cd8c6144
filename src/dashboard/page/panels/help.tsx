/** What the keys do and what the shapes mean. */

import type { JSX } from 'preact';
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks';
import { useSurroundings } from '../parts/context.js';
import { StateMark } from '../parts/state-mark.js';
import { strings } from '../settings.js';
import { onCommand, SHORTCUTS } from '../shortcuts.js';

export function Help(): JSX.Element {
  const { desk } = useSurroundings();
  const dialog = useRef<HTMLDialogElement>(null);
  const { help, state: states } = strings();
  const isOpen = desk.isHelpOpen.value;
  useEffect(() => onCommand('help', () => (desk.isHelpOpen.value = !desk.isHelpOpen.value)), [desk]);
  // At once: an Escape that follows closely has to find it open.
  useLayoutEffect(() => {
    if (isOpen && dialog.current?.open === false) dialog.current.showModal();
    if (!isOpen) dialog.current?.close();
  }, [isOpen]);
  return (
    <dialog class="help" ref={dialog} aria-labelledby="title-help" onClose={() => (desk.isHelpOpen.value = false)}>
      <div class="help-head">
        <h2 id="title-help">{help.title}</h2>
        <button type="button" onClick={() => (desk.isHelpOpen.value = false)}>
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
