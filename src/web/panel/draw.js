// SPDX-License-Identifier: MIT OR Apache-2.0
// From the state of the box to the page. Names come from others: they are only ever set as text.

import { called, mark, ownMark, shieldLook } from './words.js';

/** @typedef {import('./words.js').State} State */
/** @typedef {import('./words.js').Shield} Shield */

/** @template {HTMLElement} T @param {string} id @param {new () => T} kind @returns {T} */
export function part(id, kind) {
  const element = document.getElementById(id);
  if (!(element instanceof kind)) throw new Error(`the page has no ${id}`);
  return element;
}

/** What each part was drawn from, so that unchanged parts keep focus, selection and place. @type {Map<string, string>} */
const drawn = new Map();

/** @param {string} name @param {unknown} from @param {() => void} draw */
function once(name, from, draw) {
  const key = JSON.stringify(from);
  if (drawn.get(name) === key) return;
  drawn.set(name, key);
  draw();
}

/** @param {string} tag @param {string} text @param {string} [kind] */
function element(tag, text, kind) {
  const made = document.createElement(tag);
  made.textContent = text;
  if (kind) made.className = kind;
  return made;
}

/** @param {string} id @param {string} text */
function write(id, text) {
  once(id, text, () => {
    part(id, HTMLElement).textContent = text;
  });
}

/** @param {Shield} shield @param {string} [heading] */
export function drawShield(shield, heading) {
  const look = shieldLook(shield.state);
  const name = heading ?? look.name;
  once('shield', [shield, name], () => {
    document.body.dataset.state = shield.state;
    document.getElementById('sign')?.setAttribute('href', `#i-${look.sign}`);
    part('reasons', HTMLElement).replaceChildren(...shield.reasons.map((reason) => element('li', reason)));
  });
  write('state-name', name);
  write('state-text', shield.text);
  // Read aloud only when the verdict changes, not with every counter.
  write('spoken', `${name}. ${shield.text}`);
  document.title = `${name} · Roomseal`;
}

/** @param {State} state */
export function drawState(state) {
  drawShield(state.shield);
  write('box-name', state.name);
  write('room', state.room);
  write('service', `on ${state.service}`);
  write('connection', state['insecure-lan'] ? `${state['connection-text']}, line NOT PROTECTED` : state['connection-text']);
  part('connection', HTMLElement).dataset.where = state.connection;
  once('roster', [state.participants.map(({ tracks, ...who }) => [who, tracks.map(visible)]), state.connection], () =>
    drawRoster(state));
  const own = state['local-tracks'].map((track) => ({ track, mark: ownMark(track, state['e2ee-required']) }));
  once('own', own.map((each) => each.mark), () => {
    part('own', HTMLElement).replaceChildren(...own.map(({ track, mark }) => line(track.source, mark.sign, mark.word, mark.reason, mark.tone)));
  });
  write('sending', state.sending || 'Nothing leaves this box.');
  write('key-model', state['key-model']);
  drawTroubles(state);
  once('events', state.happenings, () => {
    const latest = state.happenings.slice(-12).reverse();
    part('events', HTMLElement).replaceChildren(...latest.map(({ at, text }) => {
      const item = element('li', '');
      const time = element('time', clock(at));
      time.setAttribute('datetime', new Date(at * 1000).toISOString());
      item.append(time, element('span', text));
      return item;
    }));
  });
  write('about', `${state.identity} · Roomseal ${state.version}${state.recording ? ' · recording the others' : ''}`);
}

/** @param {State} state */
function drawRoster(state) {
  const people = state.participants;
  write('roster-title', people.length === 0 ? 'In this meeting' : `In this meeting (${people.length + 1})`);
  const nobody = state.connection === 'inside' ? 'Nobody else is here.' : 'The box is not in a meeting.';
  const items = people.map((participant) => {
    const item = element('li', '', 'person');
    const head = element('h3', called(participant));
    if (participant.kind !== 'person') head.append(element('span', participant.kind, 'tag'));
    const tracks = element('ul', '', 'tracks');
    tracks.append(...participant.tracks.map((track) => {
      const { sign, word, tone } = mark(track);
      // The word says already what these reasons repeat.
      const reason = track.text === 'verified' || track.text === word ? '' : track.text;
      return line(track.source, sign, word, reason, tone);
    }));
    item.append(head, tracks);
    if (participant.tracks.length === 0) item.append(element('p', 'sends nothing', 'quiet'));
    return item;
  });
  part('roster', HTMLElement).replaceChildren(...(items.length ? items : [element('li', nobody, 'quiet')]));
}

/** @param {State} state */
function drawTroubles({ troubles }) {
  once('troubles', troubles, () => {
    part('troubles-card', HTMLElement).hidden = troubles.length === 0;
    part('troubles', HTMLElement).replaceChildren(...troubles.map(({ about, text }) => {
      const item = element('li', '');
      item.append(element('strong', about), element('span', text));
      return item;
    }));
  });
}

/** @param {string} source @param {string} sign @param {string} word @param {string} reason @param {string} tone */
function line(source, sign, word, reason, tone) {
  const item = element('li', '', 'track');
  item.dataset.tone = tone;
  const marked = element('span', '', 'mark');
  const symbol = element('span', sign, 'symbol');
  symbol.setAttribute('aria-hidden', 'true');
  marked.append(symbol, element('span', word));
  item.append(element('span', source, 'source'), marked);
  if (reason) item.append(element('span', reason, 'reason'));
  return item;
}

/** What of a track is drawn; its counters are not. @param {import('./words.js').RemoteTrack} track */
function visible({ source, muted, verification, text }) {
  return [source, muted, verification, text];
}

/** @param {number} at */
function clock(at) {
  return new Date(at * 1000).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit', second: '2-digit' });
}
