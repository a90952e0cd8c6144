/**
 * XmlElement: an XML document as a tree, for files of which whole elements are copied
 * (`derivedFrom` of CMSIS-SVD).
 *
 * Called by: read-svd.ts.
 *
 * The file is hostile. Only the five entities of XML itself are known, a document type is skipped,
 * and depth, elements and bytes are bounded.
 */

import type { SAXOptions } from 'sax';
import { ImportProblem } from './import-problem.js';

/** SVD files of whole families of controllers have 15 MB. */
const MAX_ELEMENTS = 4_000_000;
/** Clusters may nest, and a real file nests about three. */
const MAX_DEPTH = 64;

export interface XmlElement {
  readonly name: string;
  /** Of the start tag, from 1. */
  readonly line: number;
  readonly attributes: Readonly<Record<string, string>>;
  /** Undefined: the root. */
  readonly parent: XmlElement | undefined;
  readonly children: readonly XmlElement[];
  /** Its own text, without that of its children. */
  readonly text: string;
}

interface OpenElement extends XmlElement {
  readonly children: XmlElement[];
  text: string;
}

/** Rejects with ImportProblem, at a line, if `text` is not well-formed. */
export async function parseXml(text: string): Promise<XmlElement> {
  const sax = (await import('sax')).default;
  // The types lack `strictEntities`: only the entities of XML, none of HTML.
  const options: SAXOptions & { readonly strictEntities: boolean } = { strictEntities: true, position: true };
  const parser = sax.parser(true, options);
  const open: OpenElement[] = [];
  let root: XmlElement | undefined;
  let elements = 0;
  // The parser counts lines from 0.
  const fail = (what: string): never => {
    throw new ImportProblem(what, parser.line + 1);
  };
  parser.onerror = ({ message }) => fail(message.split('\n')[0] ?? message);
  parser.onopentag = ({ name, attributes }) => {
    if (++elements > MAX_ELEMENTS) fail(`there are more than ${MAX_ELEMENTS} elements`);
    if (open.length >= MAX_DEPTH) fail(`elements nest deeper than ${MAX_DEPTH}`);
    const element: OpenElement = {
      name,
      line: parser.line + 1,
      attributes: attributes as Record<string, string>,
      parent: open.at(-1),
      children: [],
      text: '',
    };
    open.at(-1)?.children.push(element);
    root ??= element;
    open.push(element);
  };
  const addText = (more: string): void => {
    const element = open.at(-1);
    if (element !== undefined) element.text += more;
  };
  parser.ontext = addText;
  parser.oncdata = addText;
  parser.onclosetag = () => open.pop();
  parser.write(text).close();
  return root ?? fail('there is no element');
}

/** The first child of that name. */
export function childOf(element: XmlElement, name: string): XmlElement | undefined {
  return element.children.find((child) => child.name === name);
}

/** The text of the first child of that name, with white space as one space. Undefined: no child. */
export function textOf(element: XmlElement, name: string): string | undefined {
  return childOf(element, name)?.text.replace(/\s+/g, ' ').trim();
}
