// SPDX-License-Identifier: MIT OR Apache-2.0
// What the box is booked for, as its hub says, and a button for each of them: nothing is entered by itself.

import { element, once, part, write } from './page.js';

/** @typedef {import('./words.js').State} State */
/** @typedef {import('./words.js').Booked} Booked */

/** @type {(wanted: object) => void} */
let wish = () => {};

/** Passes on what people press here. @param {(wanted: object) => void} pass */
export function booked(pass) {
  wish = pass;
}

/** @param {State | null} state */
export function drawBooked(state) {
  const enrolled = state?.enrolled ?? null;
  part('booked-card', HTMLElement).hidden = enrolled === null;
  if (state === null || enrolled === null) return;
  const lan = enrolled['insecure-lan'] ? `What ${enrolled.hub} says of this comes over a line that is NOT PROTECTED. ` : '';
  write('booked-words', `${lan}Who books this room for the first time compares these words with what the page there shows: ${enrolled.words}`);
  once('booked', [state.booked, state.offers.booked, enrolled], () => {
    const nothing = element('li', `Nobody has booked ${enrolled.name} at ${enrolled.hub}.`, 'quiet');
    const items = state.booked.map((one) => invitation(one, state.offers.booked));
    part('booked', HTMLElement).replaceChildren(...(items.length ? items : [nothing]));
  });
}

/** @param {Booked} one @param {boolean} offered */
function invitation(one, offered) {
  const item = element('li', '', 'person');
  const sealing = one.e2ee ? 'encrypted' : 'not encrypted at first';
  const waiting = one['waiting-room'] ? ', guests wait until a host lets them in' : '';
  item.append(
    element('h3', one.title),
    element('p', when(one), 'quiet'),
    element('p', `by ${one.organiser}, as ${one.hub} says; ${sealing}${waiting}`, 'quiet'),
  );
  if (offered) {
    const join = element('button', 'Join');
    join.setAttribute('type', 'button');
    join.setAttribute('aria-label', `Join ${one.title}`);
    join.addEventListener('click', () => wish({ do: 'booked', room: one.room }));
    item.append(join);
  }
  return item;
}

/** From when to when, where this page is looked at. @param {Booked} one */
function when({ starts, ends }) {
  const [from, to] = [new Date(starts * 1000), new Date(ends * 1000)];
  /** @param {Date} at */
  const time = (at) => at.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit', hour12: false });
  /** @param {Date} at */
  const day = (at) => at.toLocaleDateString([], { weekday: 'short', day: 'numeric', month: 'short' });
  return `${day(from)}, ${time(from)} to ${day(from) === day(to) ? '' : `${day(to)}, `}${time(to)}`;
}
