// SPDX-License-Identifier: MIT OR Apache-2.0
// The line to the box: its state as it changes, and wishes to it.

/** @typedef {import('./words.js').State} State */
/** @typedef {import('./words.js').Reply} Reply */
/** @typedef {import('./words.js').Drawn} Drawn */

/** The box speaks every second; longer silence means that what was heard holds no more. */
const SILENCE = 4000;

/** How long to wait before the line is opened again. */
const AGAIN = 1000;

/** What proves that a wish comes from this page; `undefined` until the box was asked. @type {string | undefined} */
let token;

/** @typedef {{token: string | null, password: boolean}} Session */

/**
 * Calls `heard` with every state, with `null` when the box is silent, and `locked` when this device is not paired with it,
 * with whether there is a password; then nothing is heard until the function that this returns is called.
 * @param {(state: State | null) => void} heard
 * @param {(password: boolean) => void} locked
 * @returns {() => void}
 */
export function listen(heard, locked) {
  /** @type {EventSource | undefined} */
  let line;
  let alarm = 0;

  const later = () => {
    clearTimeout(alarm);
    line?.close();
    heard(null);
    alarm = setTimeout(open, AGAIN);
  };
  const alive = () => {
    clearTimeout(alarm);
    // A line that is silent without an error never heals by itself.
    alarm = setTimeout(later, SILENCE);
  };
  const open = async () => {
    clearTimeout(alarm);
    line?.close();
    let known;
    try {
      known = await session();
    } catch {
      return later();
    }
    token = known.token ?? undefined;
    if (token === undefined) return locked(known.password);
    const fresh = new EventSource('/api/events');
    line = fresh;
    fresh.addEventListener('message', (event) => {
      alive();
      heard(JSON.parse(event.data));
    });
    fresh.addEventListener('alive', alive);
    fresh.addEventListener('error', later);
    alive();
  };
  open();
  return open;
}

/**
 * Has the box carry out a wish.
 * @param {object} wish
 * @returns {Promise<Reply>}
 */
export async function ask(wish) {
  return reply('/api/wish', wish);
}

/** Has the box show a code, for this device to be paired. @returns {Promise<Reply>} */
export async function askForCode() {
  return reply('/api/code', {});
}

/** Pairs this device. @param {string} code @returns {Promise<Reply>} */
export async function pair(code) {
  return reply('/api/pair', { code });
}

/** Lets this device in. @param {string} password @returns {Promise<Reply>} */
export async function enter(password) {
  return reply('/api/password', { password });
}

/** Signs its user in as host of the box. @param {string} password @returns {Promise<Reply>} */
export async function signIn(password) {
  return reply('/api/sign-in', { password });
}

/** This device does not want to be paired any more. @returns {Promise<Reply>} */
export async function part() {
  return reply('/api/part', {});
}

/** The guest link as a code for cameras; a reply when there is none. @returns {Promise<Drawn | Reply>} */
export async function invitation() {
  try {
    const response = await post('/api/invitation', {});
    return response.ok ? await response.json() : { 'not-now': (await response.text()).trim() };
  } catch {
    return silent();
  }
}

/** @param {string} path @param {object} body @returns {Promise<Reply>} */
async function reply(path, body) {
  try {
    const response = await post(path, body);
    return response.ok ? await response.json() : { 'not-now': (await response.text()).trim() };
  } catch {
    return silent();
  }
}

/** @param {string} path @param {object} body */
async function post(path, body) {
  const send = () => fetch(path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-roomseal-token': token ?? '' },
    body: JSON.stringify(body),
  });
  const response = await send();
  if (response.status !== 403) return response;
  // The token changes when the box starts anew.
  token = (await session()).token ?? undefined;
  return send();
}

/** @returns {Promise<Session>} */
async function session() {
  const response = await fetch('/api/session');
  if (!response.ok) throw new Error('the box does not know this page');
  return response.json();
}

/** @returns {Reply} */
function silent() {
  return { 'not-now': 'the box does not answer; is it on?' };
}
