// SPDX-License-Identifier: MIT OR Apache-2.0
// The join page: from a link into a meeting. What it shows of encryption is what the worker's core says, and nothing
// once that is silent.

import {
  ConnectionState, DisconnectReason, LogLevel, type Participant, Room, RoomEvent, setLogLevel,
} from './livekit-client.mjs';
import { Chat } from './chat.js';
import { controls } from './controls.js';
import { Door } from './door.js';
import { audible, Roster, sure } from './roster.js';
import { Sealing } from './sealing.js';
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
const door = new Door(trouble);
const chat = new Chat(tell);
const roster = new Roster((act, person) => {
  const to = act === 'mute' ? audible(person) : room.remoteParticipants.get(person.identity)?.sid;
  if (to !== undefined) tell({ t: 'deed', act, to });
});
let meeting = '';
let view: View | undefined;
let viewed = 0;
let takesPolicies = true;

setLogLevel(LogLevel.warn);

function tell(told: Told) {
  worker.postMessage({ kind: 'told', told } satisfies ToWorker);
}

function trouble(text: string) {
  const place = element('trouble');
  place.textContent = text;
  place.hidden = text === '';
}

function news(text: string) {
  element('news').textContent = text;
}

function act(todo: Todo) {
  switch (todo.do) {
    case 'announce':
      news(todo.text);
      break;
    case 'deed':
      trouble('');
      ask('deed', { certificate: todo.certificate, deed: todo.deed })
        .catch((error) => trouble(`that was not done: ${error.message}`));
      break;
    case 'line':
      chat.add(todo);
      break;
    case 'play':
      tiles.play(todo.sid);
      break;
    case 'stop':
      tiles.stop(todo.sid);
      break;
    case 'say':
      sealing.channel.say(todo.to, todo.text).catch((error) => console.warn('the others are not told', error));
      break;
    case 'send':
      sealing.channel.send(todo.packets.map((it) => Uint8Array.from(it)), () => !todo.clear || writesClear())
        .catch((error) => {
          // Who misses earlier lines asks again, or somebody else.
          if (!todo.unasked) trouble(`the last line was not sent: ${error.message}`);
        });
      break;
    case 'write-metadata':
      tellService(todo.text);
      break;
    // A page has no right to put out whom a host does not name.
    case 'remove':
      break;
  }
}

/** Whether the core's last word is that lines leave in the clear, it has not gone silent since, and they leave now. */
function writesClear(): boolean {
  return view?.writes === 'clear' && performance.now() - viewed <= RENEWED && room.state === ConnectionState.Connected;
}

/**
 * A page has no right to write metadata. A hub that knows the hosts takes their word for its door by another way; the
 * others hear it from data messages in any case, so where it is not taken nobody asks again.
 */
function tellService(metadata: string) {
  if (!takesPolicies) return;
  const { roomseal: policy } = JSON.parse(metadata);
  ask('policy', { policy }, sealing.channel.token).catch((error) => {
    takesPolicies = false;
    console.info('the meeting service does not take what hosts say:', error.message);
  });
}

/** Back before the meeting, with camera and microphone as they were given back. */
function outside() {
  element('standing').hidden = true;
  element('meeting').hidden = true;
  element('door').hidden = false;
  element<HTMLButtonElement>('join').disabled = false;
  element('name').focus();
  door.open().catch((error) => trouble(error.message));
}

worker.onmessage = ({ data }: MessageEvent<FromWorker>) => {
  switch (data.kind) {
    case 'begun':
      meeting = data.room;
      element('room').textContent = data.room;
      document.title = `${data.room} – Roomseal`;
      outside();
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
      chat.show(view.writes);
      roster.show(view.people, view.host);
      element('end').hidden = !view.host;
      break;
  }
};
worker.onerror = () => trouble('the part of this page that seals does not start: reload the page, or use another browser');

// The shield burns only by renewal, as the lamp does.
setInterval(() => {
  if (performance.now() - viewed <= RENEWED) return;
  show(undefined);
  chat.show(null);
}, 250);

/** Asks the service that has this page about its meeting. */
async function ask(what: string, body: object, token = ''): Promise<unknown> {
  const asked = await fetch(`/api/meetings/${encodeURIComponent(meeting)}/${what}`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json', 'roomseal-request': '1', ...(token ? { authorization: `Bearer ${token}` } : {}),
    },
    body: JSON.stringify(body),
  });
  if (asked.ok) return asked.json();
  const { detail } = await asked.json().catch(() => ({ detail: `the meeting service answers ${asked.status}` }));
  throw new Error(detail);
}

/** The way in, as soon as a host lets this browser in where there is a waiting room. */
async function enter(name: string): Promise<{ url: string; token: string }> {
  type Entry = { url: string; token: string } | { ticket: string; again: number };
  let entry = await ask('join', { name }) as Entry;
  const waits = element('waits');
  try {
    while ('ticket' in entry) {
      const { ticket, again } = entry;
      waits.hidden = false;
      await new Promise((resolve) => setTimeout(resolve, again * 1000));
      entry = await ask('join', { name, ticket }) as Entry;
    }
    return entry;
  } finally {
    waits.hidden = true;
  }
}

async function join(name: string) {
  const { url, token } = await enter(name).catch((error) => {
    throw new Error(`the meeting service does not let this browser in: ${error.message}`);
  });
  // Declared as sealed whatever the policy says, so that a press needs nothing published anew; frames are the worker's.
  await room.setE2EEEnabled(true);
  await room.connect(url, token);
  element('door').hidden = true;
  element('standing').hidden = false;
  element('meeting').hidden = false;
  element('leave').focus();
  for (const track of door.take()) {
    await room.localParticipant.publishTrack(track).catch((error) => trouble(`a device cannot be used: ${error.message}`));
  }
  const { isMicrophoneEnabled, isCameraEnabled } = room.localParticipant;
  element('microphone').setAttribute('aria-pressed', String(isMicrophoneEnabled));
  element('camera').setAttribute('aria-pressed', String(isCameraEnabled));
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

controls(room, tell, trouble);
sure(element('end'), 'End for everybody', 'Really end it?', () => {
  room.getSid().then((to) => tell({ t: 'deed', act: 'end', to }), (error) => trouble(error.message));
});

/** Why the meeting ended, where it was not by the own button. */
function ended(reason: DisconnectReason | undefined): string {
  switch (reason) {
    case DisconnectReason.CLIENT_INITIATED:
      return '';
    case DisconnectReason.ROOM_DELETED:
    case DisconnectReason.ROOM_CLOSED:
      return 'the meeting was ended for everybody';
    case DisconnectReason.PARTICIPANT_REMOVED:
      return 'somebody who may do that has put you out of the meeting';
    default:
      return 'the connection to the meeting is lost: see whether this device is online, and join again';
  }
}

room
  .on(RoomEvent.LocalTrackPublished, () => tiles.own())
  .on(RoomEvent.LocalTrackUnpublished, () => tiles.own())
  .on(RoomEvent.ActiveSpeakersChanged, (speakers: Participant[]) => tiles.speak(speakers))
  .on(RoomEvent.SignalReconnecting, () => news('the connection is lost for the moment; coming back'))
  .on(RoomEvent.Reconnecting, () => news('the connection is lost for the moment; coming back'))
  .on(RoomEvent.Reconnected, () => news('back in the meeting'))
  .on(RoomEvent.Disconnected, (reason) => {
    tiles.clear();
    trouble(ended(reason));
    outside();
  });

const link = window.takeLink?.() ?? '';
delete window.takeLink;
worker.postMessage({ kind: 'begin', link } satisfies ToWorker);
