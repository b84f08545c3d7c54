// SPDX-License-Identifier: MIT OR Apache-2.0
// What people write to each other. All of it comes from others, and is only ever set as text.

import { ask } from './connection.js';
import { clock, element, once, part } from './page.js';
import { called, said } from './words.js';

/** @typedef {import('./words.js').State} State */

const form = part('chat-form', HTMLFormElement);
const line = part('chat-line', HTMLInputElement);
const reply = part('chat-reply', HTMLElement);
const log = part('chat', HTMLElement);

form.addEventListener('submit', async (event) => {
  event.preventDefault();
  const written = line.value;
  if (written.trim() === '') return;
  const { text, good } = said(await ask({ do: 'chat', line: written }));
  // What was not sent stays, to be sent again.
  if (good && line.value === written) form.reset();
  reply.textContent = good ? '' : text;
  reply.dataset.tone = good ? 'good' : 'bad';
});

/** @param {State} state */
export function drawChat(state) {
  const outside = state.connection !== 'inside';
  part('chat-card', HTMLElement).hidden = outside && state.chat.length === 0;
  form.hidden = outside;
  once('chat', state.chat, () => {
    const end = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
    const lines = state.chat.map((each) => {
      const item = element('li', '', each.own ? 'said own' : 'said');
      const who = state.participants.find(({ identity }) => identity === each.from);
      const teller = state.participants.find(({ identity }) => identity === each.told?.by);
      const head = element('p', '', 'by');
      head.append(
        element('strong', each.own ? 'This box' : who ? called(who) : each.told?.called || each.from),
        each.told && each.sealed
          ? element('span', 'said to be sealed', 'quiet')
          : element('span', each.sealed ? '✓ sealed' : '! not sealed', each.sealed ? 'good' : 'bad'),
        ...(each.told ? [element('em', `told by ${teller ? called(teller) : each.told.by}`)] : []),
        clock(each.at),
      );
      item.append(head, element('p', each.text, 'words'));
      return item;
    });
    log.replaceChildren(...(lines.length ? lines : [element('li', 'Nobody has written anything.', 'quiet')]));
    // Whoever reads further up is left there.
    if (end) log.scrollTop = log.scrollHeight;
  });
}
