// SPDX-License-Identifier: MIT OR Apache-2.0
// A question before something that cannot be taken back.

import { part } from './page.js';

/** @typedef {import('./words.js').State} State */
/** @typedef {{title: string, text: string, yes: string}} Question */

const dialog = part('sure', HTMLDialogElement);
const yes = part('sure-yes', HTMLButtonElement);

/** Whether what the question is about is still there. @type {(state: State) => boolean} */
let holds = () => false;

yes.addEventListener('click', () => dialog.close('yes'));
part('sure-no', HTMLButtonElement).addEventListener('click', () => dialog.close());

/**
 * Asks; whoever closes the question has said no, and so has a state in which it does not hold any more.
 * @param {Question} question
 * @param {(state: State) => boolean} still
 * @returns {Promise<boolean>}
 */
export function sure(question, still) {
  part('sure-title', HTMLElement).textContent = question.title;
  part('sure-text', HTMLElement).textContent = question.text;
  yes.textContent = question.yes;
  holds = still;
  dialog.returnValue = '';
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => resolve(dialog.returnValue === 'yes'), { once: true });
  });
}

/** @param {State | null} state */
export function drawSure(state) {
  if (dialog.open && !(state && holds(state))) dialog.close('');
}
