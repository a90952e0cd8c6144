// @ts-check
/**
 * Where each document of the repository stands on the site, and how its links are rewritten.
 *
 * Called by: scripts/docs.mjs. Documents keep relative links that work in the repository; the site
 * has other paths, so each link is resolved against the repository and written anew. A source file
 * that a document links to becomes a page.
 */

import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, extname, join, normalize, relative } from 'node:path/posix';

/** Documents outside docs/, with their places on the site. */
const OUTSIDE = {
  'README.md': 'index.md',
  'README.zh-CN.md': 'zh-CN/index.md',
  'ARCHITECTURE.md': 'architecture.md',
  'CHANGELOG.md': 'changelog.md',
  'SECURITY.md': 'security.md',
  'guests/README.md': 'guests.md',
  'conformance/README.md': 'conformance.md',
};

const LANGUAGES = { '.ts': 'ts', '.tsx': 'tsx', '.js': 'js', '.mjs': 'js', '.asm': 'nasm', '.asl': 'c', '.c': 'c' };
/** Longer files are cut on their pages: the site shows them, the repository has them. */
const MAX_SOURCE_BYTES = 100_000;

/**
 * Every document with its place on the site.
 *
 * @param {string} root the repository
 * @returns {Map<string, string>} from a path in the repository to one on the site
 */
export function documents(root) {
  const places = new Map(Object.entries(OUTSIDE).filter(([path]) => existsSync(join(root, path))));
  for (const name of readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' }).sort())
    if (name.endsWith('.md') && !name.startsWith('.'))
      places.set(`docs/${name}`, name.replace(/README\.md$/, 'index.md'));
  return places;
}

/**
 * Rewrites the links of one document. Throws an Error that names the document and the link if its
 * target does not exist.
 *
 * @param {string} text
 * @param {string} path the document's path in the repository
 * @param {Map<string, string>} places of the documents; source files and images that are linked to
 *   are added
 * @param {string} root
 */
export function rewriteLinks(text, path, places, root) {
  const place = /** @type {string} */ (places.get(path));
  return outsideCode(text, (prose) =>
    prose.replace(/(\]\()([^)\s]+)(\))/g, (whole, open, target, close) => {
      if (/^(?:[a-z]+:|#)/.test(target)) return whole;
      const [file = '', anchor] = target.split('#');
      const source = normalize(join(dirname(path), decodeURI(file))).replace(/\/$/, '');
      if (!existsSync(join(root, source))) throw new Error(`${path}: ${target} does not exist`);
      if (!places.has(source)) places.set(source, placeOf(source, root));
      const to = relative(dirname(place), /** @type {string} */ (places.get(source)));
      return `${open}${to.startsWith('.') ? to : `./${to}`}${anchor === undefined ? '' : `#${anchor}`}${close}`;
    }),
  );
}

/**
 * The page of a source file or a folder.
 *
 * @param {string} path
 * @param {string} root
 */
export function sourcePage(path, root) {
  if (statSync(join(root, path)).isDirectory()) {
    const names = readdirSync(join(root, path)).sort();
    return `# ${path}/\n\n${names.map((name) => `- \`${name}\``).join('\n')}\n`;
  }
  const text = readFileSync(join(root, path), 'utf8');
  const shown = text.length > MAX_SOURCE_BYTES ? `${text.slice(0, MAX_SOURCE_BYTES)}\n…` : text;
  const language = LANGUAGES[/** @type {keyof typeof LANGUAGES} */ (extname(path))] ?? 'text';
  return `# ${path}\n\n\`\`\`\`${language}\n${shown}\n\`\`\`\`\n`;
}

/** Images keep their format; everything else becomes a page. */
function placeOf(/** @type {string} */ source, /** @type {string} */ root) {
  if (/\.(?:png|svg|gif|webp)$/.test(source)) return source.replace(/^docs\//, '');
  return statSync(join(root, source)).isDirectory() ? `source/${source}/index.md` : `source/${source}.md`;
}

/** Applies `change` to what lies outside of fenced code and code spans. */
function outsideCode(/** @type {string} */ text, /** @type {(prose: string) => string} */ change) {
  return text
    .split(/(^ {0,3}```[\s\S]*?^ {0,3}```[^\S\n]*$|`[^`\n]*`)/m)
    .map((part, index) => (index % 2 === 0 ? change(part) : part))
    .join('');
}
