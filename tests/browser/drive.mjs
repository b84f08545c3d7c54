// SPDX-License-Identifier: MIT OR Apache-2.0
// Drives a Chromium for the tests: one JSON object per line in, one per line out, in order.
//
//   node drive.mjs PATH/TO/node_modules PATH/TO/chromium
//
// {"op": "open", "url", "width", "height", "scheme": "dark" | "light"}   a page of its own, as a phone below 600 pixels
// {"op": "see", "selector", "text"?, "within": ms}    waits until it is visible; answers its text
// {"op": "key", "key"}                                presses a key
// {"op": "type", "text"}                              types text
// {"op": "tab", "to": id}                             presses Tab until the element of that id has the focus
// {"op": "width"}                                     how much wider than the window the page is, in pixels
// {"op": "shot", "file"}                              writes a picture of the whole page
// {"op": "complaints"}                                errors of scripts and of the content policy so far
//
// Answers: {"ok": value} or {"error": text}.
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

const [modules, executablePath] = process.argv.slice(2);
const { chromium } = createRequire(`${modules}/`)('playwright-core');

const browser = await chromium.launch({
  executablePath,
  args: [
    '--no-sandbox', '--disable-quic', '--disable-background-networking', '--disable-component-update', '--disable-sync',
    '--no-first-run',
  ],
});
const complaints = [];
let page;

const operations = {
  async open({ url, width, height, scheme }) {
    await page?.context().close();
    const context = await browser.newContext({
      viewport: { width, height }, colorScheme: scheme, isMobile: width < 600, hasTouch: width < 600,
      deviceScaleFactor: width < 600 ? 2 : 1,
    });
    page = await context.newPage();
    page.on('pageerror', (error) => complaints.push(String(error)));
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) complaints.push(message.text());
    });
    await page.goto(url);
  },
  async see({ selector, text, within }) {
    const found = page.locator(selector).filter(text ? { hasText: text } : {}).first();
    await found.waitFor({ timeout: within });
    return found.innerText();
  },
  key: ({ key }) => page.keyboard.press(key),
  type: ({ text }) => page.keyboard.type(text),
  async tab({ to }) {
    for (let pressed = 0; pressed < 50; pressed += 1) {
      await page.keyboard.press('Tab');
      if ((await page.evaluate(() => document.activeElement?.id)) === to) return pressed + 1;
    }
    throw new Error(`Tab does not lead to ${to}`);
  },
  width: () => page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth),
  async shot({ file }) {
    await page.screenshot({ path: file, fullPage: true, animations: 'disabled' });
  },
  complaints: () => complaints,
};

console.log(JSON.stringify({ ok: browser.version() }));
for await (const line of createInterface({ input: process.stdin })) {
  try {
    const { op, ...what } = JSON.parse(line);
    console.log(JSON.stringify({ ok: (await operations[op](what)) ?? null }));
  } catch (error) {
    console.log(JSON.stringify({ error: String(error) }));
  }
}
await browser.close();
