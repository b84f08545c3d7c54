// SPDX-License-Identifier: MIT OR Apache-2.0
// What the box tells, as types, and the words and signs that people see for it.

/**
 * @typedef {{sid: string, source: string, muted: boolean, verification: string, text: string, opened: number, refused: number}} RemoteTrack
 * @typedef {{identity: string, name: string, kind: string, tracks: RemoteTrack[]}} Participant
 * @typedef {{source: string, codec: string, encoder: string, format: string, muted: boolean, 'switched-off': boolean | null, sealed: number, dropped: number, clear: number}} LocalTrack
 * @typedef {{state: string, text: string, reasons: string[]}} Shield
 * @typedef {{
 *   'name': string, 'version': string, 'room': string, 'service': string, 'identity': string, 'insecure-lan': boolean,
 *   'connection': 'inside' | 'outside' | 'on-the-way', 'connection-text': string,
 *   'shield': Shield, 'e2ee-required': boolean, 'key-model': string, 'sending': string,
 *   'local-tracks': LocalTrack[], 'participants': Participant[],
 *   'troubles': {about: string, text: string}[], 'happenings': {at: number, text: string}[], 'recording': boolean,
 *   'chat': {at: number, from: string, text: string, sealed: boolean, own: boolean}[],
 * }} State
 * @typedef {{done: string} | {denied: string} | {'not-now': string}} Reply
 * @typedef {{name: string, sign: string}} Look
 */

/**
 * Each state of the shield: its name and the sign on it, so that colour alone says nothing.
 * @type {Record<string, Look>}
 */
const SHIELDS = {
  'fault': { name: 'Fault', sign: 'cross' },
  'denied': { name: 'Refused', sign: 'cross' },
  'wrong-key': { name: 'Wrong key', sign: 'key' },
  'unsealed-peer': { name: 'Not everybody is sealed', sign: 'alert' },
  'sealing': { name: 'Sealing', sign: 'dots' },
  'waiting': { name: 'Waiting for others', sign: 'dots' },
  'sealed-by-service': { name: 'Sealed by the service', sign: 'cloud' },
  'sealed': { name: 'Sealed', sign: 'check' },
  'open': { name: 'Not encrypted', sign: 'open' },
  'connecting': { name: 'Connecting', sign: 'dots' },
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
 * The mark of a track: a sign, a word, and how urgent it is.
 * @param {RemoteTrack} track
 * @returns {{sign: string, word: string, tone: 'good' | 'bad' | 'calm'}}
 */
export function mark(track) {
  switch (track.verification) {
    case 'verified':
      // Frames of somebody else under this name are refused; the reason says so.
      return track.text === 'verified'
        ? { sign: '✓', word: 'sealed', tone: 'good' }
        : { sign: '!', word: 'sealed, with strangers', tone: 'bad' };
    case 'refused':
      return { sign: '✕', word: 'not played', tone: 'bad' };
    case 'clear':
      return { sign: '!', word: 'not encrypted', tone: 'bad' };
    case 'silent':
      return { sign: '–', word: track.muted ? 'muted' : 'silent', tone: 'calm' };
    case 'waiting':
      return { sign: '…', word: track.muted ? 'muted' : 'waiting', tone: 'calm' };
    default:
      return { sign: '?', word: track.verification, tone: 'bad' };
  }
}

/**
 * The mark of what this box sends.
 * @param {LocalTrack} track
 * @param {boolean} required
 * @returns {{sign: string, word: string, reason: string, tone: 'good' | 'bad' | 'calm'}}
 */
export function ownMark(track, required) {
  const details = [track.codec, track.format].filter(Boolean).join(' ');
  if (track.muted) return { sign: '–', word: 'muted', reason: `${details}, nothing is sent`, tone: 'calm' };
  if (!required) return { sign: '!', word: 'not encrypted', reason: details, tone: 'bad' };
  if (track.sealed === 0) return { sign: '…', word: 'nothing sent yet', reason: details, tone: 'calm' };
  return { sign: '✓', word: 'sealed', reason: details, tone: 'good' };
}

/** @param {Participant} participant */
export function called(participant) {
  return participant.name.trim() || participant.identity;
}

/** What a reply says. @param {Reply} reply @returns {{text: string, good: boolean}} */
export function said(reply) {
  if ('done' in reply) return { text: reply.done, good: true };
  if ('denied' in reply) return { text: `Refused: ${reply.denied}`, good: false };
  return { text: reply['not-now'], good: false };
}
