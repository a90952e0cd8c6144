/**
 * Styles that a library writes at run time, without loosening the content security policy: xterm.js makes `style`
 * elements, which the policy refuses; while `make` runs, it gets elements whose text becomes a constructed style sheet.
 */

const HTML = 'http://www.w3.org/1999/xhtml';

export function withAdoptedStyles<Made>(make: () => Made): Made {
  const original = (name: string): HTMLElement => document.createElementNS(HTML, name);
  const replacement = (name: string): HTMLElement =>
    name === 'style' ? adoptedStyle(original('span')) : original(name);
  Object.defineProperty(document, 'createElement', { value: replacement, configurable: true });
  try {
    return make();
  } finally {
    // The prototype's own shows again.
    Reflect.deleteProperty(document, 'createElement');
  }
}

/** An element that is not to be seen; it is written to and removed like a `style`. */
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
