// SPDX-License-Identifier: MIT OR Apache-2.0
// Drives a Chromium or Firefox for the tests: one JSON object per line in, one per line out, in order.
//
//   node drive.mjs PATH/TO/node_modules PATH/TO/BROWSER [OPTION OF CHROMIUM]...
//
// {"op": "open", "url", "width", "height", "scheme": "dark" | "light"}   a window of its own, as a phone below 600 pixels
// {"op": "turn", "to": number}                        goes on in this window, in the order in which they were opened
// {"op": "close"}                                     closes the window it is in, if it is in one
// {"op": "see", "selector", "text"?, "within": ms}    waits until it is visible; answers its text
// {"op": "shows", "selector"}                         whether it is there now
// {"op": "key", "key"}                                presses a key
// {"op": "type", "text"}                              types text
// {"op": "tab", "to": id}                             presses Tab until the element of that id has the focus
// {"op": "width"}                                     how much wider than the window the page is, in pixels
// {"op": "shot", "file", "selector"?, "window"?}      writes a picture of the whole page, of one element, or of the window
// {"op": "said"}                                      what a screen reader is told: roles, names and texts, as lines
// {"op": "load", "file"}                              runs a script in the page
// {"op": "run", "script"}                             answers what an expression in the page comes to
// {"op": "complaints"}                                errors of scripts and of the content policy so far
// {"op": "ask", "url", "method", "headers", "body"?, "within": ms}   asks a server without the browser, whoever it claims
//                                                     to be; answers status, headers and body (hexadecimal) as far as they came
//
// Answers: {"ok": value} or {"error": text}.
import http from 'node:http';
import https from 'node:https';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const [modules, executablePath, ...options] = process.argv.slice(2);
// Debian's Firefox as it is speaks WebDriver BiDi, which this version of Playwright has under this name.
const { chromium, _bidiFirefox } = createRequire(`${modules}/`)('playwright-core');
const firefox = executablePath.includes('firefox');

const browser = await (firefox
  ? _bidiFirefox.launch({
    executablePath: fileURLToPath(new URL('firefox', import.meta.url)),
    firefoxUserPrefs: {
      'media.autoplay.default': 0,
      // A page may take the focus back.
      'dom.disable_window_flip': false,
      'media.navigator.streams.fake': true, 'media.navigator.permission.disabled': true,
    },
  })
  : chromium.launch({
    executablePath,
    args: [
      '--no-sandbox', '--disable-quic', '--disable-background-networking', '--disable-component-update', '--disable-sync',
      '--no-first-run',
      // Nobody is here to click before sound may play.
      '--autoplay-policy=no-user-gesture-required',
      // A page that asks for camera and microphone gets a picture and a tone that are made up.
      '--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream', ...options,
    ],
  }));
/** What this driver puts into a page before it takes its picture, where the page's policy holds for the driver too. */
const OWN_STYLE = 'sha256-YjaKGiklmzC6wjXA513HAMmzus8VE61XCOT+SmwNZWA=';
const complaints = [];
const pages = [];
let page;

/**
 * Has the page where a person types. Without the focus a page in Firefox still gets the keys, but they press none of its
 * buttons. It loses the focus to another window, and to the browser's own buttons where Tab leads past its last element.
 */
async function front() {
  const focused = () => page.evaluate(() => document.hasFocus());
  if (!firefox || await focused()) return;
  await page.bringToFront();
  for (let tried = 0; tried < 100; tried += 1) {
    if (await focused()) return;
    // An element that takes the focus takes it from those buttons; the root is where Tab begins at the first element.
    await page.evaluate(() => {
      const { activeElement, body, documentElement: root } = document;
      const element = activeElement === null || activeElement === body ? root : activeElement;
      if (element === root) root.tabIndex = -1;
      element.blur();
      window.focus();
      element.focus();
      root.removeAttribute('tabindex');
    });
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error('Firefox does not let the page have the focus');
}

const operations = {
  async open({ url, width, height, scheme }) {
    const context = await browser.newContext({
      viewport: { width, height }, colorScheme: scheme, ...(firefox ? {} : { isMobile: width < 600, hasTouch: width < 600 }),
      // A box makes its certificate itself; who pairs with it has compared the hash.
      deviceScaleFactor: width < 600 ? 2 : 1, ignoreHTTPSErrors: true,
    });
    page = await context.newPage();
    pages.push(page);
    page.on('pageerror', (error) => {
      if (!String(error.message).includes(OWN_STYLE)) complaints.push(String(error));
    });
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) complaints.push(message.text());
    });
    await page.goto(url);
  },
  turn: ({ to }) => {
    page = pages[to];
  },
  async close() {
    pages.splice(pages.indexOf(page), page ? 1 : 0);
    await page?.context().close();
    page = undefined;
  },
  async see({ selector, text, within }) {
    const found = page.locator(selector).filter({ visible: true, ...(text ? { hasText: text } : {}) }).first();
    await found.waitFor({ timeout: within });
    return found.innerText();
  },
  shows: async ({ selector }) => (await page.locator(selector).count()) > 0,
  async key({ key }) {
    await front();
    await page.keyboard.press(key);
  },
  async type({ text }) {
    await front();
    await page.keyboard.type(text);
  },
  async tab({ to }) {
    await front();
    for (let pressed = 0; pressed < 50; pressed += 1) {
      await page.keyboard.press('Tab');
      await front();
      if ((await page.evaluate(() => document.activeElement?.id)) === to) return pressed + 1;
    }
    throw new Error(`Tab does not lead to ${to}`);
  },
  // A telephone makes its window as wide as the page: what counts is what was asked for.
  // A scroll bar that takes room leaves less than the window.
  width: async () => Math.max(0, (await page.evaluate(() => document.documentElement.scrollWidth)) - page.viewportSize().width),
  async shot({ file, selector, window }) {
    const options = { path: file, animations: 'disabled' };
    await (selector ? page.locator(selector).screenshot(options) : page.screenshot({ ...options, fullPage: !window }));
  },
  said: () => page.locator('body').ariaSnapshot(),
  load: async ({ file }) => void (await page.addScriptTag({ path: file })),
  run: ({ script }) => page.evaluate(script),
  complaints: () => complaints,
  ask: ({ url, method, headers, body, within }) => new Promise((resolve, reject) => {
    const client = url.startsWith('https:') ? https : http;
    const request = client.request(url, { method, headers, rejectUnauthorized: false, agent: false }, (answer) => {
      const pieces = [];
      const done = () => {
        request.destroy();
        resolve({ status: answer.statusCode, headers: answer.rawHeaders.join('\n'), body: Buffer.concat(pieces).toString('hex') });
      };
      answer.on('data', (piece) => pieces.push(piece));
      answer.on('end', done);
      answer.on('error', done);
      // Events have no end.
      setTimeout(done, within);
    });
    request.on('error', reject);
    request.end(body);
  }),
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
