// Bundles the live page into dist/dashboard/page, where its server finds it. The page loads nothing
// from other servers. `-- --outDir …` selects another folder.

import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

/** The licences of what was bundled, beside it. */
const licences = {
  name: 'licences',
  generateBundle(_, bundle) {
    const packages = new Set();
    for (const chunk of Object.values(bundle))
      for (const id of Object.keys(chunk.modules ?? {})) {
        const name = /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(id)?.[1];
        if (name !== undefined) packages.add(name);
      }
    const source = [...packages]
      .sort()
      .map((name) => {
        const folder = dirname(here(`./node_modules/${name}/package.json`));
        const { version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
        return `${name} ${version}\n\n${readFileSync(join(folder, 'LICENSE'), 'utf8').trim()}\n`;
      })
      .join('\n----\n\n');
    this.emitFile({ type: 'asset', fileName: 'licences.txt', source });
  },
};

export default defineConfig({
  root: here('./src/dashboard/page'),
  base: './',
  esbuild: { jsx: 'automatic', jsxImportSource: 'preact' },
  // A guest's trouble is looked at in the browser of the day.
  build: {
    outDir: here('./dist/dashboard/page'),
    emptyOutDir: true,
    target: 'es2022',
    // data: addresses would need a wider content security policy.
    assetsInlineLimit: 0,
    modulePreload: false,
    reportCompressedSize: false,
  },
  logLevel: 'warn',
  plugins: [licences],
});
