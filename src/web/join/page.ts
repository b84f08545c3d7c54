// SPDX-License-Identifier: MIT OR Apache-2.0
// The join page: from a link into a meeting. What it shows of encryption is what the worker's core says, and nothing
// once that is silent.

import {
  ConnectionState, DisconnectReason, LogLevel, type Participant, Room, RoomEvent, setLogLevel,
} from './livekit-client.mjs';
import { SignIn, signedIn } from './account.js';
import { Chat } from './chat.js';
import { controls } from './controls.js';
import { Door } from './door.js';
import { Lobby } from './lobby.js';
import { audible, Roster, sure } from './roster.js';
import { Sealing } from './sealing.js';
import { askAbout, type AtTheDoor, Refused } from './service.js';
import { Tiles } from './tiles.js';
import type { FromWorker, Todo, Told, ToWorker, View } from './told.js';
import { element, show } from './views.js';

declare global {
  interface Window {
    /** The whole address that the page was opened with; once. */
    takeLink?: () => string;
  }
}

/** How long news stay beside newer ones, in milliseconds, and how many. */
const READ = 15_000;
const MOST_NEWS = 4;

/** After how many milliseconds a service is asked again for the key that it did not give. */
const SECRET_AGAIN = 5000;

/** What the service calls those by who have no account with it. */
const GUEST = 'guest-';

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
const signIn = new SignIn();
const lobby = new Lobby(news, trouble);
const roster = new Roster((act, person) => {
  const to = act === 'mute' ? audible(person) : room.remoteParticipants.get(person.identity)?.sid;
  if (to !== undefined) tell({ t: 'deed', act, to });
});
let meeting = '';
/** The service makes the key. */
let byService = false;
let view: View | undefined;
let viewed = 0;
let takesPolicies = true;
/** In the waiting room; good for coming back. */
let place: Place | undefined;
/** Who asked for a host's proof, by what it is made for. */
const proofs = new Map<string, (proof: object) => void>();

setLogLevel(LogLevel.warn);

function tell(told: Told) {
  worker.postMessage({ kind: 'told', told } satisfies ToWorker);
}

function trouble(text: string) {
  const place = element('trouble');
  place.textContent = text;
  place.hidden = text === '';
}

/** The last few things that happened, those before for as long as somebody may still read them. */
function news(text: string) {
  const now = performance.now();
  const made = document.createElement('p');
  made.textContent = text;
  made.dataset.at = String(now);
  const place = element('news');
  const old = [...place.children] as HTMLElement[];
  for (const [at, line] of old.entries()) {
    if (now - Number(line.dataset.at) > READ || old.length - at >= MOST_NEWS) line.remove();
  }
  place.append(made);
}

function act(todo: Todo) {
  switch (todo.do) {
    case 'announce':
      news(todo.text);
      break;
    case 'deed':
      trouble('');
      askAbout(meeting, 'deed', { certificate: todo.certificate, deed: todo.deed })
        .catch((error) => trouble(`that was not done: ${error.message}`));
      break;
    case 'enter':
      proofs.get(todo.identity)?.({ certificate: todo.certificate, proof: todo.proof });
      proofs.delete(todo.identity);
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
  askAbout(meeting, 'policy', { policy }, sealing.channel.token).catch((error) => {
    takesPolicies = false;
    console.info('the meeting service does not take what hosts say:', error.message);
  });
}

/** Back before the meeting, with camera and microphone as they were chosen. */
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
      byService = data.service;
      element('room').textContent = data.room;
      document.title = `${data.room} – Roomseal`;
      outside();
      void greet();
      break;
    case 'not-a-meeting':
    case 'refused':
      trouble(data.text);
      break;
    case 'no-secret':
      trouble(`the meeting service does not give the key of this meeting: ${data.text}`);
      setTimeout(askSecret, SECRET_AGAIN);
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

/** What is said at the door; nothing where what serves this page has no such word. */
async function atTheDoor(): Promise<AtTheDoor | undefined> {
  return askAbout<AtTheDoor>(meeting, 'door').catch(() => undefined);
}

/** Looks who this browser is to the service. */
async function greet() {
  const door = await atTheDoor();
  if (door?.signed_in) signedIn(door.name ?? '');
  else element('with-account').hidden = !door?.accounts;
}

/** What joining gives. */
interface Entry {
  url: string;
  token: string;
  /** Whether the token administers the meeting. */
  host?: boolean;
  waiting_room?: boolean;
}

/** In the waiting room: what hosts see, what to come back with, and after how many seconds. */
interface Place {
  id: string;
  ticket: string;
  again: number;
}

/** The way in: after signing in where guests have to, and once a host lets this browser in where there is a waiting room. */
async function enter(name: string): Promise<Entry> {
  const waits = element('waits');
  // Who has a host's key waits for nobody, if the hub knows that key.
  let asHost = view?.host ?? false;
  try {
    for (;;) {
      const host = asHost && place ? { host: await proof(place.id) } : {};
      const tried = 'host' in host;
      const entry = await knock({ name, ...(place ? { ticket: place.ticket } : {}), ...host }).catch((error) => {
        if (!tried) throw error;
        asHost = false;
        return undefined;
      });
      if (entry !== undefined && 'url' in entry) return entry;
      if (entry !== undefined) place = entry;
      if (place === undefined || (asHost && !tried)) continue;
      waits.hidden = false;
      await new Promise((resolve) => setTimeout(resolve, (place?.again ?? 2) * 1000));
    }
  } finally {
    waits.hidden = true;
  }
}

async function knock(wish: object): Promise<Entry | Place> {
  for (;;) {
    try {
      return await askAbout(meeting, 'join', wish);
    } catch (error) {
      if (!(error instanceof Refused) || error.kind !== 'sign-in') throw error;
      if (!await asksToSignIn(error.message)) throw error;
    }
  }
}

/** What shows the service that the person here is a host, called `identity` there. */
function proof(identity: string): Promise<object> {
  return new Promise((resolve) => {
    proofs.set(identity, resolve);
    tell({ t: 'enter', identity, hub: location.host.toLowerCase() });
  });
}

/** Looks after the waiting room, where there is one and this browser may: by its own token, or by the host's key. */
function lookAfter({ host, waiting_room }: Entry) {
  if (!waiting_room || !(host || view?.host)) return;
  const own = () => sealing.channel.token;
  let shown: Promise<string> | undefined;
  lobby.open({
    meeting,
    async token(again) {
      if (host) return own();
      if (shown === undefined || again) {
        shown = proof(room.localParticipant.identity)
          .then((it) => askAbout<{ token: string }>(meeting, 'host', it, own()))
          .then(({ token }) => token);
      }
      return shown;
    },
  });
}

/** Has the worker ask for the key that the service makes, another in each session. */
function askSecret() {
  if (!byService || room.state !== ConnectionState.Connected) return;
  worker.postMessage({ kind: 'ask-secret', token: sealing.channel.token } satisfies ToWorker);
}

/** Has somebody sign in, with the door out of the way; whether he did. */
async function asksToSignIn(why: string): Promise<boolean> {
  element('door').hidden = true;
  const done = await signIn.ask(why);
  element('door').hidden = false;
  return done;
}

/** Joins; `wanted` says of what is published anyway whether it is: nothing that was off comes back on. */
async function join(name: string, wanted: (kind: string) => boolean = () => true) {
  const entry = await enter(name).catch((error) => {
    throw new Error(`the meeting service does not let this browser in: ${error.message}`);
  });
  // Declared as sealed whatever the policy says, so that a press needs nothing published anew; frames are the worker's.
  await room.setE2EEEnabled(true);
  await room.connect(entry.url, entry.token);
  element('door').hidden = true;
  element('standing').hidden = false;
  element('meeting').hidden = false;
  element('leave').focus();
  lookAfter(entry);
  for (const track of await door.take()) {
    if (!wanted(track.kind)) {
      track.stop();
      continue;
    }
    await room.localParticipant.publishTrack(track).catch((error) => trouble(`a device cannot be used: ${error.message}`));
  }
  const { isMicrophoneEnabled, isCameraEnabled } = room.localParticipant;
  element('microphone').setAttribute('aria-pressed', String(isMicrophoneEnabled));
  element('camera').setAttribute('aria-pressed', String(isCameraEnabled));
}

/** Goes in by the name that stands at the door. */
function goIn(wanted?: (kind: string) => boolean) {
  const button = element<HTMLButtonElement>('join');
  button.disabled = true;
  trouble('');
  join(element<HTMLInputElement>('name').value, wanted).catch((error) => {
    button.disabled = false;
    trouble(error.message);
  });
}

element('door').addEventListener('submit', (event) => {
  event.preventDefault();
  goIn();
});

element('with-account').addEventListener('click', () => {
  void asksToSignIn('Who has an account here comes in under it, and administers the meetings that he organised.');
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
  .on(RoomEvent.Connected, askSecret)
  .on(RoomEvent.LocalTrackPublished, () => tiles.own())
  .on(RoomEvent.LocalTrackUnpublished, () => tiles.own())
  .on(RoomEvent.ActiveSpeakersChanged, (speakers: Participant[]) => tiles.speak(speakers))
  .on(RoomEvent.SignalReconnecting, () => news('the connection is lost for the moment; coming back'))
  .on(RoomEvent.Reconnecting, () => news('the connection is lost for the moment; coming back'))
  .on(RoomEvent.Reconnected, () => {
    news('back in the meeting');
    askSecret();
  })
  .on(RoomEvent.Disconnected, (reason) => {
    const guest = room.localParticipant.identity.startsWith(GUEST);
    tiles.clear();
    lobby.close();
    trouble(ended(reason));
    outside();
    if (reason === DisconnectReason.PARTICIPANT_REMOVED && guest) void comeBack();
  });

/**
 * A guest who was put out because encryption goes on, and guests sign in for that, comes back as soon as he did: on this
 * page, with the same link, name and devices.
 */
async function comeBack() {
  const on = new Map(['microphone', 'camera'].map((id) => [id, element(id).getAttribute('aria-pressed') === 'true']));
  const door = await atTheDoor();
  if (door?.guests !== 'sign-in') return;
  trouble('');
  const signed = door.signed_in || await asksToSignIn(
    'A host turned on encryption, and guests sign in here for that: you were put out of the meeting. Sign in, and you are '
    + 'back in it, with the same camera, microphone and name.',
  );
  if (signed) goIn((kind) => on.get(kind === 'audio' ? 'microphone' : 'camera') ?? true);
}

const NOTES = {
  none: 'This meeting is not encrypted from end to end: the service can see and hear it.',
  people: 'This meeting is encrypted with a key that you were told: you are asked for it once you are in.',
  service: 'This meeting is encrypted with a key that the service makes: it can see and hear it, others cannot.',
};

/** Begins by a link; or, where the address has none, by what the service says of such a meeting. */
async function begin(link: string) {
  const { pathname, hash } = new URL(link, location.href);
  const by = { kind: 'begin', link } satisfies ToWorker;
  if (hash.length > 1) return worker.postMessage(by);
  meeting = decodeURIComponent(pathname.replace(/^\/j\//, ''));
  const door = await atTheDoor();
  // What is wrong with the link the core says best.
  if (door === undefined || door.key === 'link') return worker.postMessage(by);
  element('key-note').textContent = NOTES[door.key];
  element('key-note').hidden = false;
  if (door.name !== null && !door.signed_in) {
    const name = element<HTMLInputElement>('name');
    // Whoever was sent here by a link of his own is who that says.
    name.value = door.name;
    name.readOnly = true;
  }
  worker.postMessage({ kind: 'visit', room: meeting, key: door.key } satisfies ToWorker);
}

const link = window.takeLink?.() ?? '';
delete window.takeLink;
void begin(link);
