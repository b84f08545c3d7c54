// SPDX-License-Identifier: MIT OR Apache-2.0
// The parts of the page. Text is only ever set as text.

/** @template {Element} T @param {string} id @param {new () => T} kind @returns {T} */
export function part(id, kind) {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`the page has no ${id}`);
  return found;
}

/** What each part was drawn from, so that unchanged parts keep focus, selection and place. @type {Map<string, string>} */
const drawn = new Map();

/** @param {string} name @param {unknown} from @param {() => void} draw */
export function once(name, from, draw) {
  const key = JSON.stringify(from);
  if (drawn.get(name) === key) return;
  drawn.set(name, key);
  draw();
}

/** @param {string} tag @param {string} text @param {string} [kind] */
export function element(tag, text, kind) {
  const made = document.createElement(tag);
  made.textContent = text;
  if (kind) made.className = kind;
  return made;
}

/** @param {string} id @param {string} text */
export function write(id, text) {
  once(id, text, () => {
    part(id, HTMLElement).textContent = text;
  });
}

/** The text of a button, beside its picture. @param {HTMLButtonElement} button @param {string} text */
export function label(button, text) {
  const place = button.querySelector('span');
  if (place && place.textContent !== text) place.textContent = text;
}

/** A time of the box. @param {number} at */
export function clock(at) {
  const when = new Date(at * 1000);
  const time = element('time', when.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit', second: '2-digit', hour12: false }));
  time.setAttribute('datetime', when.toISOString());
  return time;
}
