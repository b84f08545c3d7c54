// SPDX-License-Identifier: MIT OR Apache-2.0
// A device on the network that is not paired yet: it asks for a code and types what the box shows, or its password.

import { askForCode, enter, pair, part as leave } from './connection.js';
import { part } from './page.js';
import { said } from './words.js';

/** @typedef {import('./words.js').State} State */
/** @typedef {import('./words.js').Reply} Reply */

const code = part('code', HTMLInputElement);
const form = part('code-form', HTMLFormElement);
const reply = part('code-reply', HTMLElement);
const passwordForm = part('password-form', HTMLFormElement);
const password = part('password', HTMLInputElement);
const passwordReply = part('password-reply', HTMLElement);
const forget = part('part', HTMLButtonElement);

/** Calls `again` when this device was paired, or is not any more. @param {() => void} again */
export function minded(again) {
  part('code-ask', HTMLButtonElement).addEventListener('click', async () => {
    if (say(reply, await askForCode())) code.focus();
  });
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    const typed = code.value;
    form.reset();
    if (!say(reply, await pair(typed))) return code.focus();
    reply.textContent = '';
    again();
  });
  passwordForm.addEventListener('submit', async (event) => {
    event.preventDefault();
    const typed = password.value;
    passwordForm.reset();
    if (!say(passwordReply, await enter(typed))) return password.focus();
    passwordReply.textContent = '';
    again();
  });
  forget.addEventListener('click', async () => {
    await leave();
    again();
  });
}

/**
 * Shows the one thing or the other: the panel, or how to be paired.
 * @param {boolean} isStranger
 * @param {boolean} [hasPassword]
 */
export function drawStranger(isStranger, hasPassword = false) {
  passwordForm.hidden = !hasPassword;
  part('stranger', HTMLElement).hidden = !isStranger;
  part('panel', HTMLElement).hidden = isStranger;
  if (isStranger) document.title = 'Pair this device · Roomseal';
}

/** @param {State | null} state */
export function drawPairing(state) {
  forget.hidden = state?.place !== 'network';
  const shown = state?.['pairing-code'] ?? '';
  part('pairing-card', HTMLElement).hidden = shown === '';
  part('pairing-code', HTMLElement).textContent = shown;
}

/** @param {HTMLElement} place @param {Reply} what */
function say(place, what) {
  const { text, good } = said(what);
  place.textContent = text;
  place.dataset.tone = good ? 'good' : 'bad';
  return good;
}
