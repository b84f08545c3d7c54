// SPDX-License-Identifier: MIT OR Apache-2.0
// Draws what the core says. Names and reasons are text of others: they become text, never markup.

import type { RemoteTrack, View } from './told.js';

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

function line(value: string, data: Record<string, string> = {}): HTMLLIElement {
  const made = document.createElement('li');
  made.textContent = value;
  Object.assign(made.dataset, data);
  return made;
}

function track({ sid, source, text, verification, opened, refused }: RemoteTrack): HTMLLIElement {
  // Frames that were refused are in the words of the core, with the reason.
  const count = opened > 0 ? ` (${opened} opened)` : '';
  return line(`${source}: ${text}${count}`, {
    sid, source, verification, opened: String(opened), refused: String(refused),
  });
}

function person({ identity, called, standing, why, tracks }: View['people'][number]): HTMLLIElement {
  const made = line(why === '' ? called : `${called}: ${why}`, { identity, standing });
  if (tracks.length > 0) {
    const all = document.createElement('ul');
    all.append(...tracks.map(track));
    made.append(all);
  }
  return made;
}

/** Shows how everything stands; without a view nothing is known, and the shield is dark. */
export function show(view: View | undefined) {
  document.body.dataset.state = view?.shield ?? 'dark';
  text('state', view?.name ?? 'dark');
  list('reasons', (view?.reasons ?? []).map((reason) => line(reason.text)));
  if (view === undefined) return;
  list('people', view.people.map(person));
  text('sending', view.sending);
  list('own', view.own.map(({ sid, source, sealed, clear, dropped }) =>
    line(`${source}: ${sealed} sealed, ${clear} clear, ${dropped} not sent`, {
      sid, source, sealed: String(sealed), clear: String(clear), dropped: String(dropped),
    })));
  element('asks').hidden = view.asks !== 'passphrase';
  const button = element('e2ee');
  button.hidden = !view.host;
  const label = view.on === true ? 'Hold to turn encryption off' : 'Turn encryption on';
  text('e2ee', view.countdown === null ? label : `Keep encryption on (off in ${Math.ceil(view.countdown.left / 1000)} s)`);
}
