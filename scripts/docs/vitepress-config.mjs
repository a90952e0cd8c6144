// @ts-check
/**
 * The site's configuration: two languages, one sidebar each. Copied by scripts/docs.mjs beside the
 * staged documents.
 */

import { defineConfig } from 'vitepress';
import { chinese, english } from './sidebar.mjs';

export default defineConfig({
  title: 'upcall',
  description: 'I/O request handling for virtual machines, byte-compatible with the ACRN hypervisor',
  lastUpdated: false,
  // Links were checked and rewritten before; a dead one is a mistake of that step and fails the
  // build.
  ignoreDeadLinks: false,
  // Angle brackets in prose and in API pages are text, never elements.
  markdown: { html: false },
  themeConfig: {
    search: { provider: 'local' },
    outline: [2, 3],
  },
  locales: {
    root: { label: 'English', lang: 'en', themeConfig: english },
    'zh-CN': { label: '简体中文', lang: 'zh-CN', themeConfig: chinese },
  },
});
