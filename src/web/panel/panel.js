// SPDX-License-Identifier: MIT OR Apache-2.0
// The front-panel page: draws what the box says, and passes on what people press.

import { booked, drawBooked } from './booked.js';
import { drawChat } from './chat.js';
import { ask, listen } from './connection.js';
import { drawLamp, drawShield, drawState } from './draw.js';
import { drawHost, host } from './host.js';
import { drawInvitation } from './invitation.js';
import { drawMeetings, meetings } from './meetings.js';
import { label, part, write } from './page.js';
import { drawPairing, drawStranger, minded } from './pairing.js';
import { drawSetUp } from './setup.js';
import { drawSure } from './sure.js';
import { SILENT, encryptOffer, keyLabel, said } from './words.js';

/** @typedef {import('./words.js').State} State */

const buttons = {
  encrypt: part('encrypt', HTMLButtonElement),
  microphone: part('mute-microphone', HTMLButtonElement),
  camera: part('mute-camera', HTMLButtonElement),
};
const note = part('encrypt-note', HTMLElement);
const keyForm = part('key-form', HTMLFormElement);
const key = part('key', HTMLInputElement);
const reply = part('reply', HTMLElement);

/** @type {State | null} */
let state = null;
let forget = 0;

const listenAgain = listen(
  (heard) => {
    state = heard;
    if (heard) {
      drawStranger(false);
      drawState(heard);
      drawChat(heard);
    } else {
      drawShield(SILENT, 'No word from the box');
      drawLamp({ hue: '', shape: 'look at the box' });
      part('connection', HTMLElement).dataset.where = 'outside';
    }
    document.body.classList.toggle('silent', heard === null);
    drawInvitation(heard);
    drawPairing(heard);
    drawButtons();
  },
  (password) => {
    state = null;
    drawShield(SILENT, 'This device is not paired');
    drawStranger(true, password);
    write('connection', 'this device is not paired');
    drawPairing(null);
  },
);
minded(listenAgain);

buttons.encrypt.addEventListener('click', () => wish({ do: 'e2ee', to: 'on' }));
buttons.microphone.addEventListener('click', () => mute('microphone'));
buttons.camera.addEventListener('click', () => mute('camera'));
meetings(wish);
booked(wish);
host(wish);
keyForm.addEventListener('submit', (event) => {
  event.preventDefault();
  const typed = key.value;
  // It stays nowhere on the page.
  keyForm.reset();
  wish(/^https?:/i.test(typed.trim()) ? { do: 'key', link: typed } : { do: 'key', passphrase: typed });
});

/** Says what is wanted, not "the other way": two presses on two pages must not cancel each other. @param {'microphone' | 'camera'} what */
function mute(what) {
  const muted = buttons[what].getAttribute('aria-pressed') === 'true';
  wish({ do: 'mute', what, to: muted ? 'off' : 'on' });
}

/** @param {object} wanted */
async function wish(wanted) {
  const { text, good } = said(await ask(wanted));
  reply.textContent = text;
  reply.dataset.tone = good ? 'good' : 'bad';
  clearTimeout(forget);
  forget = setTimeout(() => { reply.textContent = ''; }, 8000);
}

function drawButtons() {
  drawMute('microphone', 'Mute', 'Muted');
  drawMute('camera', 'Camera off', 'Camera is off');
  drawMeetings(state);
  drawBooked(state);
  drawHost(state);
  drawSure(state);
  drawSetUp(state);
  const offer = encryptOffer(state);
  buttons.encrypt.hidden = offer.button === '';
  if (offer.button) label(buttons.encrypt, offer.button);
  note.hidden = offer.note === '';
  if (note.textContent !== offer.note) note.textContent = offer.note;
  // Outside there is no meeting whose key somebody could hold.
  part('key-card', HTMLElement).hidden = state?.connection === 'outside';
  const asks = state?.asks ?? null;
  document.body.classList.toggle('asks', asks !== null);
  write('key-asks', asks?.text ?? '');
  write('key-label', keyLabel(state));
  // The key of a Roomseal meeting comes with its link, and is asked for only where it is missing.
  keyForm.hidden = state === null || (state.hosted && asks === null);
}

/** @param {'microphone' | 'camera'} what @param {string} open @param {string} closed */
function drawMute(what, open, closed) {
  const track = state?.['local-tracks'].find(({ source }) => source === what);
  const button = buttons[what];
  button.disabled = track === undefined;
  button.setAttribute('aria-pressed', String(track?.muted ?? false));
  label(button, track?.muted ? closed : open);
}
