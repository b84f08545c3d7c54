// SPDX-License-Identifier: MIT OR Apache-2.0
// Draws what the core says. Names and reasons are text of others: they become text, never markup.

import type { View } from './told.js';

/** An element that the page is made with. */
export function element<T extends HTMLElement = HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`the page has no #${id}`);
  return found as T;
}

function text(id: string, value: string) {
  const place = element(id);
  // A screen reader says again what is written again.
  if (place.textContent !== value) place.textContent = value;
}

function list(id: string, lines: HTMLLIElement[]) {
  const place = element(id);
  const same = place.children.length === lines.length
    && lines.every((line, at) => place.children[at]?.outerHTML === line.outerHTML);
  if (!same) place.replaceChildren(...lines);
}

/** A line of a list. */
export function line(value: string, data: Record<string, string> = {}): HTMLLIElement {
  const made = document.createElement('li');
  made.textContent = value;
  Object.assign(made.dataset, data);
  return made;
}

/** Shows how everything stands; without a view nothing is known, and the shield is dark. */
export function show(view: View | undefined) {
  document.body.dataset.state = view?.shield ?? 'dark';
  text('state', view?.name ?? 'dark');
  list('reasons', (view?.reasons ?? []).map((reason) => line(reason.text)));
  if (view === undefined) return;
  list('dropped', view.dropped.map((it) => line(it)));
  text('sending', view.sending);
  list('own', view.own.map(({ sid, source, sealed, clear, dropped }) =>
    line(`${source}: ${sealed} sealed, ${clear} clear, ${dropped} not sent`, {
      sid, source, sealed: String(sealed), clear: String(clear), dropped: String(dropped),
    })));
  element('asks').hidden = view.asks !== 'passphrase' && view.asks !== 'key';
  text('asks-what', view.asks === 'key' ? 'Key of this meeting, as you were told it' : 'Passphrase of this meeting');
  const button = element('e2ee');
  button.hidden = !view.host;
  const label = view.on === true ? 'Hold to turn encryption off' : 'Turn encryption on';
  text('e2ee', view.countdown === null ? label : `Keep encryption on (off in ${Math.ceil(view.countdown.left / 1000)} s)`);
}
