// SPDX-License-Identifier: MIT OR Apache-2.0
// Who signs in as host of the box on a device of his own, and what that allows beside: turning encryption off.

import { signIn } from './connection.js';
import { part, write } from './page.js';
import { sure } from './sure.js';
import { said } from './words.js';

/** @typedef {import('./words.js').State} State */

const form = part('host-form', HTMLFormElement);
const password = part('host-password', HTMLInputElement);
const reply = part('host-reply', HTMLElement);
const off = part('encrypt-off', HTMLButtonElement);

const TEXTS = {
  'no': '',
  'offered': 'With the password of the page you are the host of this box: you can also turn encryption off and end the meeting.',
  'takes-code': 'This device came by the password. To be the host of this box, forget this device, and pair it by the code that the box shows.',
  'done': 'You are signed in as host of this box, for an hour.',
};

const OFF = {
  title: 'Turn encryption off for everybody?',
  text: 'Everybody is told three seconds before, and a host can still keep it on. Then the meeting service can see and hear.',
  yes: 'Turn it off',
};

form.addEventListener('submit', async (event) => {
  event.preventDefault();
  const typed = password.value;
  form.reset();
  const { text, good } = said(await signIn(typed));
  reply.textContent = good ? '' : text;
  reply.dataset.tone = good ? 'good' : 'bad';
});

/** Passes on what people press here. @param {(wanted: object) => void} wish */
export function host(wish) {
  off.addEventListener('click', async () => {
    if (await sure(OFF, (now) => now.offers.off)) wish({ do: 'e2ee', to: 'off' });
  });
}

/** @param {State | null} state */
export function drawHost(state) {
  const standing = state?.['sign-in'] ?? 'no';
  part('host-card', HTMLElement).hidden = standing === 'no';
  form.hidden = standing !== 'offered';
  write('host-text', TEXTS[standing]);
  off.hidden = !state?.offers.off;
}
