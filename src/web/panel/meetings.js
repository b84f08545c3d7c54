// SPDX-License-Identifier: MIT OR Apache-2.0
// From one meeting to the next: making one, entering one, leaving it, ending it for everybody.

import { ask } from './connection.js';
import { label, part } from './page.js';
import { sure } from './sure.js';
import { said } from './words.js';

/** @typedef {import('./words.js').State} State */

const start = part('start', HTMLButtonElement);
const leave = part('leave', HTMLButtonElement);
const end = part('end', HTMLButtonElement);
const form = part('enter-form', HTMLFormElement);
const typed = part('enter', HTMLInputElement);
const reply = part('enter-reply', HTMLElement);

const END = {
  title: 'End the meeting for everybody?',
  text: 'Everybody is put out, this box too. Leaving alone lets the others go on.',
  yes: 'End it for everybody',
};

/** @type {State | null} */
let state = null;

/** Passes on what people press here. @param {(wanted: object) => void} wish */
export function meetings(wish) {
  start.addEventListener('click', () => wish({ do: 'start' }));
  leave.addEventListener('click', () => wish({ do: state?.connection === 'outside' ? 'join' : 'leave' }));
  end.addEventListener('click', async () => {
    const room = state?.room;
    // Another meeting is not ended by the answer.
    if (await sure(END, (now) => now.offers.end && now.room === room)) wish({ do: 'end' });
  });
}

form.addEventListener('submit', async (event) => {
  event.preventDefault();
  const to = typed.value.trim();
  // A link holds a key: it stays nowhere on the page.
  form.reset();
  const { text, good } = said(await ask(/^https?:/i.test(to) ? { do: 'join', link: to } : { do: 'join', room: to }));
  reply.textContent = good ? '' : text;
  reply.dataset.tone = good ? 'good' : 'bad';
});

/** @param {State | null} heard */
export function drawMeetings(heard) {
  state = heard;
  const outside = heard?.connection === 'outside';
  const offers = heard?.offers;
  start.hidden = !offers?.start;
  leave.hidden = outside && !offers?.join;
  leave.disabled = heard === null;
  leave.classList.toggle('main', outside && !offers?.start);
  label(leave, outside ? 'Join' : 'Leave');
  end.hidden = !offers?.end;
  part('enter-card', HTMLElement).hidden = !outside;
}
