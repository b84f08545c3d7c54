// SPDX-License-Identifier: MIT OR Apache-2.0
// From the state of the box to the page. Names come from others: they are only ever set as text.

import { clock, element, once, part, write } from './page.js';
import { called, mark, ownMark, shieldLook, standingMark } from './words.js';

/** @typedef {import('./words.js').State} State */
/** @typedef {import('./words.js').Shield} Shield */
/** @typedef {import('./words.js').Mark} Mark */

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

/** @param {import('./words.js').Lamp} lamp */
export function drawLamp({ hue, shape }) {
  part('led', HTMLElement).dataset.hue = hue;
  write('lamp', hue ? `${hue}, ${shape}` : shape);
}

/** @param {State} state */
export function drawState(state) {
  // In the room, and nobody has decided yet: it is not the line that is missing.
  const waits = state.shield.state === 'connecting' && state.connection === 'inside';
  const missing = state.asks ? 'Waiting for a key' : 'Waiting for the host';
  drawShield(state.shield, waits ? missing : undefined);
  drawLamp(state.lamp);
  write('box-name', state.name);
  write('room', state.room);
  write('service', state.service && `on ${state.service}`);
  const where = state['awaits-set-up'] ? 'not set up yet' : state['connection-text'];
  write('connection', state['insecure-lan'] ? `${where}, line NOT PROTECTED` : where);
  part('connection', HTMLElement).dataset.where = state.connection;
  once('roster', [state.participants.map(({ tracks, ...who }) => [who, tracks.map(visible)]), state.connection], () =>
    drawRoster(state));
  const own = state['local-tracks'].map((track) => ({ track, mark: ownMark(track) }));
  once('own', own.map((each) => each.mark), () => {
    part('own', HTMLElement).replaceChildren(...own.map(({ track, mark: marked }) => line(track.source, marked)));
  });
  write('sending', state.sending || 'Nothing leaves this box.');
  write('key-model', state['key-model']);
  drawTroubles(state);
  once('events', state.happenings, () => {
    const latest = state.happenings.slice(-12).reverse();
    part('events', HTMLElement).replaceChildren(...latest.map(({ at, text }) => {
      const item = element('li', '');
      item.append(clock(at), element('span', text));
      return item;
    }));
  });
  write('elsewhere', elsewhere(state));
  write('about', [state.identity, `Roomseal ${state.version}`, state.recording && 'recording the others'].filter(Boolean).join(' · '));
}

/** Where the page is for other devices, and what they compare. @param {State} state */
function elsewhere({ 'network-page': page }) {
  return page ? `On other devices: ${page.address}, certificate SHA-256 ${page.certificate}` : '';
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
    const standing = participant.standing ? standingMark(participant.standing) : undefined;
    if (standing) tracks.append(line('member', standing));
    tracks.append(...participant.tracks.map((track) => line(track.source, mark(track))));
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

/** @param {string} source @param {Mark} marked */
function line(source, { sign, word, reason, tone }) {
  const item = element('li', '', 'track');
  item.dataset.tone = tone;
  const words = element('span', '', 'mark');
  const symbol = element('span', sign, 'symbol');
  symbol.setAttribute('aria-hidden', 'true');
  words.append(symbol, element('span', word));
  item.append(element('span', source, 'source'), words);
  if (reason) item.append(element('span', reason, 'reason'));
  return item;
}

/** What of a track is drawn; its counters are not. @param {import('./words.js').RemoteTrack} track */
function visible({ source, muted, verification, text }) {
  return [source, muted, verification, text];
}
