// SPDX-License-Identifier: MIT OR Apache-2.0
// What people write to each other. All of it comes from others, and is only ever set as text. It stays in this page.

import type { Line, Told, View } from './told.js';
import { element } from './views.js';

/** So many lines are kept; older ones go. */
const MOST_LINES = 200;
/** So many lines say that something is not shown: who makes them does not push out what was written. */
const MOST_REFUSED = 10;

/** How a line left or came, with a sign beside the colour. */
const HOW = { sealed: '✓ sealed', clear: '! not sealed', refused: '' };
/** The same of a line that somebody only tells of. */
const CAME = { sealed: 'said to be sealed', clear: '! not sealed', refused: '' };
const NOTES = {
  sealed: 'What you write leaves sealed.',
  clear: 'What you write is not sealed: the service can read it.',
  none: 'Nothing can be written at the moment.',
};

/** The log of what was written, and the line to write. */
export class Chat {
  readonly #log = element<HTMLOListElement>('chat');
  readonly #line = element<HTMLInputElement>('chat-line');
  #writes: View['writes'] = null;

  constructor(tell: (told: Told) => void) {
    element('chat-form').addEventListener('submit', (event) => {
      event.preventDefault();
      // What is no Unicode is replaced here: the core reads none of it.
      const line = new TextDecoder().decode(new TextEncoder().encode(this.#line.value));
      if (line.trim() !== '') tell({ t: 'write', line, sealed: this.#writes === 'sealed' });
    });
  }

  /** Says how a line would leave. */
  show(writes: View['writes']) {
    if (this.#writes === writes) return;
    this.#writes = writes;
    element('chat-note').textContent = NOTES[writes ?? 'none'];
    element('chat-note').dataset.how = writes ?? 'none';
    element<HTMLButtonElement>('chat-send').disabled = writes === null;
  }

  /** Shows a line. */
  add({ from, called, text, how, told }: Line) {
    // Whoever reads further up is left there.
    const atEnd = this.#log.scrollHeight - this.#log.scrollTop - this.#log.clientHeight < 40;
    const item = document.createElement('li');
    item.dataset.how = how;
    item.title = from ?? '';
    if (how === 'refused') {
      item.textContent = `${called} ${text}`;
      if (!this.#again(item)) this.#log.append(item);
    } else {
      const by = document.createElement('p');
      by.className = 'by';
      by.append(part('strong', from === null ? 'You' : called), ' ', part('span', (told === null ? HOW : CAME)[how]));
      if (told !== null) by.append(' ', part('em', `told by ${told.by}`));
      item.append(by, part('p', text));
      item.dataset.own = String(from === null);
      item.dataset.told = String(told !== null);
      const at = Date.now() - (told?.ago ?? 0) * 1000;
      item.dataset.at = String(at);
      // What was written before stands before what was.
      const later = [...this.#log.querySelectorAll<HTMLElement>('li[data-at]')].find((it) => Number(it.dataset.at) > at);
      this.#log.insertBefore(item, later ?? null);
      // What was not sent stays, to be sent again.
      if (from === null && this.#line.value === text) this.#line.value = '';
    }
    this.#forget('[data-how="refused"]', MOST_REFUSED);
    this.#forget('', MOST_LINES);
    if (atEnd) this.#log.scrollTop = this.#log.scrollHeight;
  }

  /** Whether the same was said last; it is said once. */
  #again(item: HTMLLIElement): boolean {
    const last = this.#log.lastElementChild as HTMLElement | null;
    return last?.dataset.how === 'refused' && last.textContent === item.textContent;
  }

  #forget(which: string, most: number) {
    const lines = this.#log.querySelectorAll(`li${which}`);
    for (const line of [...lines].slice(0, Math.max(0, lines.length - most))) line.remove();
  }
}

function part(kind: string, text: string): HTMLElement {
  const made = document.createElement(kind);
  made.textContent = text;
  return made;
}
