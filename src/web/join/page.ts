// SPDX-License-Identifier: MIT OR Apache-2.0
// The join page: from a link into a meeting. What it shows of encryption is what the worker's core says, and nothing
// once that is silent.

import { LogLevel, Room, RoomEvent, setLogLevel } from './livekit-client.mjs';
import { Sealing, TOPIC } from './sealing.js';
import { Tiles } from './tiles.js';
import type { FromWorker, Todo, Told, ToWorker, View } from './told.js';
import { element, show } from './views.js';

declare global {
  interface Window {
    /** The whole address that the page was opened with; once. */
    takeLink?: () => string;
  }
}

/** A verdict that is older, in milliseconds, says nothing any more. */
const RENEWED = 1500;
/** How long a button is held to turn encryption off. */
const HELD = 2000;

const worker = new Worker('/join/worker.js', { type: 'module' });
const sealing = new Sealing(worker);
const room = new Room({
  encryption: { e2eeManager: sealing },
  // The way that every engine speaks: asking for the newer one first costs a refusal where it is not known.
  singlePeerConnection: false,
  dynacast: true,
  publishDefaults: { videoCodec: 'vp8', backupCodec: false, red: false },
});
const tiles = new Tiles(element('tiles'), room);
let meeting = '';
let view: View | undefined;
let viewed = 0;

setLogLevel(LogLevel.warn);

function tell(told: Told) {
  worker.postMessage({ kind: 'told', told } satisfies ToWorker);
}

function trouble(text: string) {
  const place = element('trouble');
  place.textContent = text;
  place.hidden = text === '';
}

function act(todo: Todo) {
  switch (todo.do) {
    case 'announce':
      element('news').textContent = todo.text;
      break;
    case 'play':
      tiles.play(todo.sid);
      break;
    case 'stop':
      tiles.stop(todo.sid);
      break;
    case 'say':
      say(todo.to, todo.text);
      break;
    // A page has no right to put people out or to write metadata; the others hear the chain from data messages.
    case 'remove':
    case 'write-metadata':
      break;
  }
}

function say(to: string[], text: string) {
  const options = { reliable: true, topic: TOPIC, ...(to.length > 0 ? { destinationIdentities: to } : {}) };
  room.localParticipant.publishData(new TextEncoder().encode(text), options)
    .catch((error) => console.warn('the others are not told', error));
}

worker.onmessage = ({ data }: MessageEvent<FromWorker>) => {
  switch (data.kind) {
    case 'begun':
      meeting = data.room;
      element('room').textContent = data.room;
      element('door').hidden = false;
      element('name').focus();
      break;
    case 'not-a-meeting':
    case 'refused':
      trouble(data.text);
      break;
    case 'broken':
      viewed = 0;
      trouble(data.text);
      break;
    case 'todo':
      data.todo.forEach(act);
      break;
    case 'view':
      view = data.view;
      viewed = performance.now();
      show(view);
      break;
  }
};
worker.onerror = () => trouble('the part of this page that seals does not start: reload the page, or use another browser');

// The shield burns only by renewal, as the lamp does.
setInterval(() => {
  if (performance.now() - viewed > RENEWED) show(undefined);
}, 250);

async function join(name: string) {
  const asked = await fetch(`/api/meetings/${encodeURIComponent(meeting)}/join`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ name }),
  });
  if (!asked.ok) {
    const { detail } = await asked.json().catch(() => ({ detail: `${asked.status}: ask for a new link` }));
    throw new Error(`the meeting service does not let this browser in: ${detail}`);
  }
  const { url, token }: { url: string; token: string } = await asked.json();
  // Declared as sealed whatever the policy says, so that a press needs nothing published anew; frames are the worker's.
  await room.setE2EEEnabled(true);
  await room.connect(url, token);
  element('door').hidden = true;
  element('meeting').hidden = false;
  // One that is missing is no reason to stay out.
  for (const enable of [() => room.localParticipant.setMicrophoneEnabled(true), () => room.localParticipant.setCameraEnabled(true)]) {
    await enable().catch((error) => trouble(`a device cannot be used: ${error.message}`));
  }
  tiles.own();
}

element('door').addEventListener('submit', (event) => {
  event.preventDefault();
  const button = element<HTMLButtonElement>('join');
  button.disabled = true;
  trouble('');
  join(element<HTMLInputElement>('name').value).catch((error) => {
    button.disabled = false;
    trouble(error.message);
  });
});

element('asks').addEventListener('submit', (event) => {
  event.preventDefault();
  const field = element<HTMLInputElement>('passphrase');
  trouble('');
  tell({ t: 'passphrase', words: field.value });
  field.value = '';
});

function toggle(id: string, change: (on: boolean) => Promise<unknown>) {
  const button = element(id);
  button.addEventListener('click', async () => {
    const on = button.getAttribute('aria-pressed') !== 'true';
    try {
      await change(on);
      button.setAttribute('aria-pressed', String(on));
    } catch (error) {
      trouble(`this did not work: ${(error as Error).message}`);
    }
  });
}
toggle('microphone', (on) => room.localParticipant.setMicrophoneEnabled(on));
toggle('camera', (on) => room.localParticipant.setCameraEnabled(on));

// As at the box: a press turns on or ends a countdown, and what is held for two seconds begins one.
const button = element('e2ee');
let held: ReturnType<typeof setTimeout> | undefined;
function down() {
  if (held !== undefined) return;
  tell({ t: 'press' });
  held = setTimeout(() => tell({ t: 'hold' }), HELD);
}
function up() {
  clearTimeout(held);
  held = undefined;
}
const presses = (event: KeyboardEvent) => event.key === ' ' || event.key === 'Enter';
button.addEventListener('pointerdown', down);
for (const name of ['pointerup', 'pointerleave', 'pointercancel', 'blur']) button.addEventListener(name, up);
button.addEventListener('keydown', (event) => presses(event) && down());
button.addEventListener('keyup', (event) => presses(event) && up());

element('leave').addEventListener('click', () => room.disconnect());
room.on(RoomEvent.Disconnected, () => {
  element('meeting').hidden = true;
  element('door').hidden = false;
  element<HTMLButtonElement>('join').disabled = false;
  tiles.clear();
});

const link = window.takeLink?.() ?? '';
delete window.takeLink;
worker.postMessage({ kind: 'begin', link } satisfies ToWorker);
