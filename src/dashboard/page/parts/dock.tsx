/**
 * Dock: a place of the page for several views. Its tabs choose the one that is shown. On a large
 * screen all are shown side by side, without tabs.
 */

import type { ComponentChildren, JSX } from 'preact';
import { useRef } from 'preact/hooks';

export interface DockView<Id extends string> {
  readonly id: Id;
  readonly title: string;
  /** A number beside the title. */
  readonly badge?: string | undefined;
  readonly content: () => ComponentChildren;
}

export interface DockProps<Id extends string> {
  readonly name: string;
  readonly views: readonly DockView<Id>[];
  readonly selected: Id;
  readonly isWide: boolean;
  readonly onSelect: (id: Id) => void;
}

export function Dock<Id extends string>({ name, views, selected, isWide, onSelect }: DockProps<Id>): JSX.Element {
  const tabs = useRef<HTMLDivElement>(null);
  if (isWide)
    return (
      <div class={`dock dock-wide ${name}`}>
        {views.map(({ id, title, content }) => (
          <section class={`panel view-${id}`} key={id} id={`view-${id}`} aria-labelledby={`title-${id}`} tabIndex={-1}>
            <h2 class="panel-title" id={`title-${id}`}>
              {title}
            </h2>
            <div class="panel-body">{content()}</div>
          </section>
        ))}
      </div>
    );
  const onKeyDown = (event: KeyboardEvent): void => {
    const step = event.key === 'ArrowRight' ? 1 : event.key === 'ArrowLeft' ? -1 : 0;
    if (step === 0) return;
    event.preventDefault();
    const at = views.findIndex(({ id }) => id === selected);
    const next = views[(at + step + views.length) % views.length];
    if (next === undefined) return;
    onSelect(next.id);
    tabs.current?.querySelector<HTMLElement>(`[data-tab="${next.id}"]`)?.focus();
  };
  return (
    <div class={`dock panel ${name}`}>
      <div class="tabs" role="tablist" ref={tabs} onKeyDown={onKeyDown}>
        {views.map(({ id, title, badge }) => (
          <button
            key={id}
            type="button"
            role="tab"
            id={`title-${id}`}
            data-tab={id}
            aria-selected={id === selected}
            aria-controls={`view-${id}`}
            tabIndex={id === selected ? 0 : -1}
            onClick={() => onSelect(id)}
          >
            {title}
            {badge !== undefined && <span class="badge">{badge}</span>}
          </button>
        ))}
      </div>
      {views
        .filter(({ id }) => id === selected)
        .map(({ id, content }) => (
          <div
            class={`panel-body view-${id}`}
            role="tabpanel"
            key={id}
            id={`view-${id}`}
            aria-labelledby={`title-${id}`}
            tabIndex={-1}
          >
            {content()}
          </div>
        ))}
    </div>
  );
}
