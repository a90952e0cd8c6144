/**
 * Adopted styles: styles that a library writes at run time, without a looser content security
 * policy. xterm.js creates `style` elements, which the policy refuses. While `create` runs,
 * xterm.js gets elements whose text becomes a constructed style sheet instead.
 *
 * Called by: the console panel.
 */

/** The namespace of HTML elements. */
const HTML = 'http://www.w3.org/1999/xhtml';

/** Runs `create`, whose `style` elements become style sheets that the policy allows. */
export function withAdoptedStyles<Created>(create: () => Created): Created {
  const original = (name: string): HTMLElement => document.createElementNS(HTML, name);
  const replacement = (name: string): HTMLElement =>
    name === 'style' ? adoptedStyle(original('span')) : original(name);
  Object.defineProperty(document, 'createElement', { value: replacement, configurable: true });
  try {
    return create();
  } finally {
    // Uncovers the prototype's method.
    Reflect.deleteProperty(document, 'createElement');
  }
}

/** A hidden element that xterm.js can write to and remove like a `style` element. */
function adoptedStyle(element: HTMLElement): HTMLElement {
  const sheet = new CSSStyleSheet();
  element.hidden = true;
  document.adoptedStyleSheets.push(sheet);
  Object.defineProperty(element, 'textContent', { set: (text: string) => sheet.replaceSync(text) });
  Object.defineProperty(element, 'remove', {
    value: () => {
      document.adoptedStyleSheets = document.adoptedStyleSheets.filter((one) => one !== sheet);
      Element.prototype.remove.call(element);
    },
  });
  return element;
}
