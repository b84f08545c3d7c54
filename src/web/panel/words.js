// SPDX-License-Identifier: MIT OR Apache-2.0
// What the box tells, as types, and the words and signs that people see for it.

/**
 * @typedef {{sid: string, source: string, muted: boolean, verification: string, text: string, opened: number, refused: number}} RemoteTrack
 * @typedef {{word: string, text: string}} Standing
 * @typedef {{identity: string, name: string, kind: string, standing: Standing | null, tracks: RemoteTrack[]}} Participant
 * @typedef {{source: string, codec: string, encoder: string, format: string, muted: boolean, 'switched-off': boolean | null, sealed: number, dropped: number, clear: number, leaves: string}} LocalTrack
 * @typedef {{state: string, text: string, reasons: string[]}} Shield
 * @typedef {{hue: string, shape: string}} Lamp
 * @typedef {{on: boolean | null, ours: boolean, 'for-all': boolean}} Encryption
 * @typedef {{at: number, from: string, text: string, sealed: boolean, own: boolean,
 *   told?: {by: string, called: string}}} ChatLine
 * @typedef {{room: string, title: string, starts: number, ends: number, organiser: string, hub: string, e2ee: boolean,
 *   'waiting-room': boolean}} Booked
 * @typedef {{
 *   'place': 'box' | 'network', 'sign-in': 'no' | 'offered' | 'takes-code' | 'done' | null,
 *   'name': string, 'version': string, 'room': string, 'service': string, 'identity': string, 'insecure-lan': boolean,
 *   'connection': 'inside' | 'outside' | 'on-the-way', 'connection-text': string,
 *   'offers': {start: boolean, join: boolean, booked: boolean, end: boolean, off: boolean},
 *   'shield': Shield, 'lamp': Lamp, 'hosted': boolean, 'encryption': Encryption | null, 'ending': {by: string, seconds: number} | null,
 *   'asks': {what: 'passphrase' | 'link' | 'link-or-passphrase' | 'key', text: string} | null, 'key-model': string,
 *   'sending': string, 'local-tracks': LocalTrack[], 'participants': Participant[], 'chat': ChatLine[],
 *   'troubles': {about: string, text: string}[], 'happenings': {at: number, text: string}[], 'recording': boolean,
 *   'enrolled': {hub: string, name: string, words: string, 'insecure-lan': boolean} | null, 'booked': Booked[],
 *   'awaits-set-up': boolean, 'pairing-code': string | null, 'network-page': {address: string, certificate: string} | null,
 * }} State
 * @typedef {{done: string} | {denied: string} | {'not-now': string} | {wrong: {field: string, text: string}[]}} Reply
 * @typedef {{rows: string[], address: string}} Drawn
 * @typedef {{name: string, sign: string}} Look
 * @typedef {{sign: string, word: string, reason: string, tone: 'good' | 'bad' | 'calm'}} Mark
 */

/**
 * Each state of the shield: its name and the sign on it, so that colour alone says nothing.
 * @type {Record<string, Look>}
 */
const SHIELDS = {
  'fault': { name: 'Fault', sign: 'cross' },
  'denied': { name: 'Refused', sign: 'hand' },
  'wrong-key': { name: 'Wrong key', sign: 'key' },
  'unsealed-peer': { name: 'Not everybody is sealed', sign: 'alert' },
  'sealing': { name: 'Sealing', sign: 'dots' },
  'waiting': { name: 'Waiting for others', sign: 'clock' },
  'sealed-by-service': { name: 'Sealed by the service', sign: 'cloud' },
  'sealed': { name: 'Sealed', sign: 'check' },
  'open': { name: 'Not encrypted', sign: 'open' },
  'connecting': { name: 'Connecting', sign: 'arrow' },
  'set-up': { name: 'Set-up', sign: 'dots' },
  'updating': { name: 'Updating', sign: 'dots' },
  'dark': { name: 'Not in a meeting', sign: 'none' },
};

/** What is shown while nothing is heard: never the last verdict. @type {Shield} */
export const SILENT = {
  state: 'dark',
  text: 'This page hears nothing from the box, so it shows nothing about the meeting. Look at the lamp on the box.',
  reasons: [],
};

/** @param {string} state @returns {Look} */
export function shieldLook(state) {
  return SHIELDS[state] ?? { name: 'Unknown', sign: 'alert' };
}

/**
 * The mark of a track: a sign, a word, why, and how urgent it is.
 * @param {RemoteTrack} track
 * @returns {Mark}
 */
export function mark(track) {
  const looks = () => {
    switch (track.verification) {
      case 'verified':
        // Frames of somebody else under this name are refused; the reason says so.
        return track.text === 'verified'
          ? { sign: '✓', word: 'sealed', tone: /** @type {const} */ ('good') }
          : { sign: '!', word: 'sealed, with strangers', tone: /** @type {const} */ ('bad') };
      case 'refused':
        return { sign: '✕', word: 'not played', tone: /** @type {const} */ ('bad') };
      case 'clear':
        return { sign: '!', word: 'not encrypted', tone: /** @type {const} */ ('bad') };
      case 'silent':
        return { sign: '–', word: track.muted ? 'muted' : 'silent', tone: /** @type {const} */ ('calm') };
      case 'waiting':
        return { sign: '…', word: track.muted ? 'muted' : 'waiting', tone: /** @type {const} */ ('calm') };
      default:
        return { sign: '?', word: track.verification, tone: /** @type {const} */ ('bad') };
    }
  };
  const look = looks();
  if (track.text === 'verified') return { ...look, reason: "frames open with this meeting's key" };
  // The word says already what these reasons repeat.
  return { ...look, reason: track.text === look.word ? '' : track.text };
}

/**
 * How a participant of a meeting with a host stands; nothing while encryption is off.
 * @param {Standing} standing
 * @returns {Mark | undefined}
 */
export function standingMark({ word, text }) {
  switch (word) {
    case 'verified':
      return { sign: '✓', word: 'verified', reason: text, tone: 'good' };
    case 'pending':
      return { sign: '…', word: 'being verified', reason: text, tone: 'calm' };
    case 'unsealed':
      return { sign: '!', word: 'not sealed', reason: text, tone: 'bad' };
    case 'keyless':
      return { sign: '–', word: 'cannot see or hear', reason: text, tone: 'calm' };
    default:
      return undefined;
  }
}

/**
 * The mark of what this box sends, by what its elements counted.
 * @param {LocalTrack} track
 * @returns {Mark}
 */
export function ownMark(track) {
  const details = [track.codec, track.format].filter(Boolean).join(' ');
  if (track.muted) {
    const reason = track['switched-off'] ? `${details}, and off at its own switch` : details;
    return { sign: '–', word: 'muted', reason, tone: 'calm' };
  }
  if (track['switched-off']) return { sign: '–', word: 'off at its own switch', reason: details, tone: 'calm' };
  switch (track.leaves) {
    case 'sealed':
      return { sign: '✓', word: 'sealed', reason: details, tone: 'good' };
    case 'clear':
      return { sign: '!', word: 'not encrypted', reason: details, tone: 'bad' };
    default:
      return { sign: '…', word: 'nothing leaves', reason: details, tone: 'calm' };
  }
}

/**
 * What the page offers to do about encryption, and what it says in place of a button. From here it only ever goes on.
 * @param {State | null} state
 * @returns {{button: string, note: string}}
 */
export function encryptOffer(state) {
  const encryption = state?.encryption;
  // Without its key a box can decide nothing.
  if (!state || !encryption || state.asks) return { button: '', note: '' };
  const { ending } = state;
  if (ending) {
    const note = `Encryption goes off in ${ending.seconds} s: ${ending.by}.`;
    return { button: encryption.ours ? 'Keep encryption on' : '', note };
  }
  if (!encryption.ours) return { button: '', note: 'A host turns encryption on and off.' };
  const whose = encryption['for-all'] ? '' : ' In this room it is decided for what this box sends and plays.';
  if (encryption.on && state.offers.off) return { button: '', note: whose.trim() };
  if (encryption.on) {
    return { button: '', note: `To turn encryption off, hold the button of the box for 2 seconds.${whose}` };
  }
  return { button: 'Turn encryption on', note: whose.trim() };
}

/** What the field for a key is called, by what is missing. @param {State | null} state */
export function keyLabel(state) {
  switch (state?.asks?.what) {
    case 'link':
      return 'Link of the meeting';
    case 'link-or-passphrase':
      return 'Link or passphrase of the meeting';
    case 'key':
      return 'Passphrase or raw key of the room';
    default:
      return 'Passphrase of the meeting';
  }
}

/** @param {Participant} participant */
export function called(participant) {
  return participant.name.trim() || participant.identity;
}

/** What a reply says. @param {Reply} reply @returns {{text: string, good: boolean}} */
export function said(reply) {
  if ('done' in reply) return { text: reply.done, good: true };
  if ('denied' in reply) return { text: `Refused: ${reply.denied}`, good: false };
  if ('wrong' in reply) return { text: reply.wrong.map(({ text }) => text).join(' '), good: false };
  return { text: reply['not-now'], good: false };
}
