// SPDX-License-Identifier: MIT OR Apache-2.0
// The line to the box: its state as it changes, and wishes to it.

/** @typedef {import('./words.js').State} State */
/** @typedef {import('./words.js').Reply} Reply */

/** The box speaks every second; longer silence means that what was heard holds no more. */
const SILENCE = 4000;

/** How long to wait before the line is opened again. */
const AGAIN = 1000;

/**
 * Calls `heard` with every state, and with `null` when the box is silent.
 * @param {(state: State | null) => void} heard
 */
export function listen(heard) {
  /** @type {EventSource | undefined} */
  let line;
  let alarm = 0;

  const alive = () => {
    clearTimeout(alarm);
    alarm = setTimeout(() => {
      heard(null);
      // A line that is silent without an error never heals by itself.
      open();
    }, SILENCE);
  };
  const open = () => {
    line?.close();
    const fresh = new EventSource('/api/events');
    line = fresh;
    fresh.addEventListener('message', (event) => {
      alive();
      heard(JSON.parse(event.data));
    });
    fresh.addEventListener('alive', alive);
    fresh.addEventListener('error', () => {
      clearTimeout(alarm);
      fresh.close();
      heard(null);
      alarm = setTimeout(open, AGAIN);
    });
    alive();
  };
  open();
}

/** @type {string | undefined} */
let token;

/**
 * Has the box carry out a wish.
 * @param {object} wish
 * @returns {Promise<Reply>}
 */
export async function ask(wish) {
  try {
    // The token changes when the box starts anew.
    for (let attempt = 0; attempt < 2; attempt += 1) {
      token ??= await session();
      const response = await fetch('/api/wish', {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'x-roomseal-token': token },
        body: JSON.stringify(wish),
      });
      if (response.ok) return await response.json();
      token = undefined;
      if (response.status !== 403) return { 'not-now': (await response.text()).trim() };
    }
    return { 'not-now': 'the box does not know this page; reload it' };
  } catch {
    return { 'not-now': 'the box does not answer; is it on?' };
  }
}

/** @returns {Promise<string>} */
async function session() {
  const response = await fetch('/api/session');
  return (await response.json()).token;
}
