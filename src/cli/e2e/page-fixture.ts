/**
 * PageFixture: one browser, one monitor and one page, shared by the tests of a file because
 * starting them takes longer than most tests. Each test gets a reset page and the monitor as the
 * test before left it. After a failure all three are new.
 */

import assert from 'node:assert/strict';
import type { Browser, BrowserContextOptions } from 'playwright-core';
import { launch, openPage, serve, type OpenPage, type Served } from './page-browser.js';

export class PageFixture {
  readonly #executablePath: string;
  readonly #args: () => readonly string[];
  readonly #guest: string;
  #browser: Browser | undefined;
  #served: Served | undefined;
  #page: OpenPage | undefined;

  /** `args`: further arguments of `upcall run`. `guest`: its first one. */
  constructor(executablePath: string, args: () => readonly string[] = () => [], guest = 'monitor') {
    this.#executablePath = executablePath;
    this.#args = args;
    this.#guest = guest;
  }

  /**
   * Calls `use` with the page, or with a new one if there are `options`. Fails if the page accessed
   * another server or violated its policy. Describes the page of a failed test.
   */
  async use(use: (open: OpenPage, served: Served) => Promise<void>, options?: BrowserContextOptions): Promise<void> {
    // A test may have ended the monitor.
    if (this.#served?.session.child.exitCode !== null) await this.stop();
    const served = (this.#served ??= await serve(this.#args(), this.#guest));
    let open: OpenPage | undefined;
    try {
      open = await this.#open(served, options);
      await use(open, served);
      assert.deepEqual(open.complaints, []);
    } catch (error) {
      console.log((await open?.scene()) ?? 'the page could not be opened');
      // The next test must not see this one's state.
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
