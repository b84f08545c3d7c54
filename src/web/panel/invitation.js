// SPDX-License-Identifier: MIT OR Apache-2.0
// The guest link as a code for cameras, for as long as somebody wants to see it. The box draws it; only a page that is
// looked at on the box itself gets it.

import { invitation } from './connection.js';
import { part } from './page.js';
import { said } from './words.js';

/** @typedef {import('./words.js').State} State */

/** Long enough to take a telephone out; whoever forgets it leaves no key on the screen. */
const SHOWN = 60_000;

/** Light modules around the code; readers need four. */
const MARGIN = 4;

const card = part('invitation-card', HTMLElement);
const button = part('invitation-show', HTMLButtonElement);
const figure = part('invitation', HTMLElement);
const code = part('invitation-code', SVGSVGElement);
const address = part('invitation-address', HTMLElement);
const reply = part('invitation-reply', HTMLElement);
let alarm = 0;

button.addEventListener('click', async () => {
  if (!figure.hidden) return hide();
  const got = await invitation();
  if (!('rows' in got)) {
    reply.textContent = said(got).text;
    reply.dataset.tone = 'bad';
    return;
  }
  reply.textContent = '';
  draw(got.rows);
  address.textContent = `${got.address}, for a minute`;
  code.setAttribute('aria-label', `Join code for ${got.address}`);
  figure.hidden = false;
  button.textContent = 'Hide the join code';
  button.setAttribute('aria-expanded', 'true');
  clearTimeout(alarm);
  alarm = setTimeout(hide, SHOWN);
});

/** @param {State | null} state */
export function drawInvitation(state) {
  const offered = state?.place === 'box' && state.hosted && state.connection === 'inside';
  card.hidden = !offered;
  if (!offered) hide();
}

function hide() {
  clearTimeout(alarm);
  figure.hidden = true;
  code.replaceChildren();
  address.textContent = '';
  button.textContent = 'Show the join code';
  button.setAttribute('aria-expanded', 'false');
}

/** @param {string[]} rows */
function draw(rows) {
  const size = rows.length + 2 * MARGIN;
  code.setAttribute('viewBox', `0 0 ${size} ${size}`);
  const dark = document.createElementNS('http://www.w3.org/2000/svg', 'path');
  const modules = rows.flatMap((row, y) => [...row].map((bit, x) => (bit === '1' ? `M${x + MARGIN} ${y + MARGIN}h1v1h-1z` : '')));
  dark.setAttribute('d', modules.join(''));
  code.replaceChildren(dark);
}
