// SPDX-License-Identifier: MIT OR Apache-2.0
// A box that nobody has set up yet: its questions, and what is wrong with an answer beside the answer.

import { ask } from './connection.js';
import { part } from './page.js';
import { said } from './words.js';

/** @typedef {import('./words.js').State} State */

const form = part('set-up-form', HTMLFormElement);
const reply = part('set-up-reply', HTMLElement);
/** @type {HTMLInputElement[]} */
const fields = [...form.querySelectorAll('input')];

form.addEventListener('submit', async (event) => {
  event.preventDefault();
  wrong([]);
  reply.textContent = '';
  const answers = Object.fromEntries(fields.filter(({ value }) => value.trim()).map(({ name, value }) => [name, value]));
  const came = await ask({ do: 'set-up', ...answers });
  if ('wrong' in came) return wrong(came.wrong);
  const { text, good } = said(came);
  reply.textContent = text;
  reply.dataset.tone = good ? 'good' : 'bad';
  // The secrets stay nowhere on the page.
  if (good) form.reset();
});

/** Says what is wrong with each answer, and goes to the first. @param {{field: string, text: string}[]} found */
function wrong(found) {
  for (const field of fields) {
    const text = found.find((one) => one.field === field.name)?.text ?? '';
    part(`${field.id}-wrong`, HTMLElement).textContent = text;
    field.toggleAttribute('aria-invalid', text !== '');
    const more = field.closest('details');
    if (text && more) more.open = true;
  }
  const elsewhere = found.filter((one) => !fields.some(({ name }) => name === one.field));
  reply.textContent = elsewhere.map(({ text }) => text).join(' ');
  reply.dataset.tone = 'bad';
  fields.find((field) => field.hasAttribute('aria-invalid'))?.focus();
}

/** @param {State | null} heard */
export function drawSetUp(heard) {
  const first = heard?.['awaits-set-up'] ?? false;
  part('set-up-card', HTMLElement).hidden = !first;
  // The parts that are about meetings wait.
  document.body.classList.toggle('awaits-set-up', first);
}
