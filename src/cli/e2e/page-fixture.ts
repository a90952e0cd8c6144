/**
 * PageFixture: one browser, one monitor and one page for the tests of a file. The start of each
 * costs more than most tests: a test finds the page as if it was opened anew, and the monitor as
 * the one before left it; after a failure all is new.
 */

import assert from 'node:assert/strict';
import type { Browser, BrowserContextOptions } from 'playwright-core';
import { launch, openPage, serve, type OpenPage, type Served } from './page-browser.js';

export class PageFixture {
  readonly #executablePath: string;
  readonly #args: () => readonly string[];
  #browser: Browser | undefined;
  #served: Served | undefined;
  #page: OpenPage | undefined;

  /** `args`: what `upcall run` is given besides. */
  constructor(executablePath: string, args: () => readonly string[] = () => []) {
    this.#executablePath = executablePath;
    this.#args = args;
  }

  /**
   * Gives `use` the page, or with `options` one of its own. Whatever a page does, it keeps to its
   * server and its policy. What a failed test saw is printed.
   */
  async use(use: (open: OpenPage, served: Served) => Promise<void>, options?: BrowserContextOptions): Promise<void> {
    // A test may have ended it.
    if (this.#served?.session.child.exitCode !== null) await this.stop();
    const served = (this.#served ??= await serve(this.#args()));
    let open: OpenPage | undefined;
    try {
      open = await this.#open(served, options);
      await use(open, served);
      assert.deepEqual(open.complaints, []);
    } catch (error) {
      console.log((await open?.scene()) ?? 'the page could not be opened');
      // What a test has left is not for the next.
      await this.stop();
      throw error;
    } finally {
      if (options !== undefined) await open?.close();
    }
  }

  /** Ends the monitor and its page. */
  async stop(): Promise<void> {
    await this.#page?.close();
    this.#page = undefined;
    this.#served?.session.child.kill('SIGTERM');
    await this.#served?.session.ended;
    this.#served = undefined;
  }

  async close(): Promise<void> {
    await this.stop();
    await this.#browser?.close();
  }

  async #open(served: Served, options?: BrowserContextOptions): Promise<OpenPage> {
    const browser = (this.#browser ??= await launch(this.#executablePath));
    if (options !== undefined) return openPage(browser, served, options);
    if (this.#page === undefined) this.#page = await openPage(browser, served);
    else await this.#page.reopen();
    return this.#page;
  }
}
