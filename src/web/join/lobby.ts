// SPDX-License-Identifier: MIT OR Apache-2.0
// The waiting room as a host sees it: who waits, and buttons to let them in or not. Names are text of others.

import { askAbout, Refused, type Waiting } from './service.js';
import { element } from './views.js';

/** How often it is looked at. */
const EACH = 2000;
/** How many looks may fail before it is said. */
const FAILURES = 3;

/** Who administers the meeting, to the service. */
export interface Administrator {
  meeting: string;
  /** A token that does; asked for again once the last was refused. */
  token(again: boolean): Promise<string>;
}

/** The list; it is there while somebody waits. */
export class Lobby {
  readonly #all = element('lobby');
  readonly #list = element('lobby-list');
  readonly #lines = new Map<string, HTMLLIElement>();
  readonly #news: (text: string) => void;
  readonly #trouble: (text: string) => void;
  #by: Administrator | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #failed = 0;

  /** `news`: what people are told in passing; `trouble`: what did not work. */
  constructor(news: (text: string) => void, trouble: (text: string) => void) {
    this.#news = news;
    this.#trouble = trouble;
  }

  /** Looks from now on. */
  open(by: Administrator) {
    this.close();
    this.#by = by;
    void this.#look();
  }

  /** Out of the meeting. */
  close() {
    this.#by = undefined;
    clearTimeout(this.#timer);
    this.#show([]);
  }

  async #look() {
    const by = this.#by;
    if (by === undefined) return;
    try {
      const { waiting } = await this.#ask<{ waiting: Waiting[] }>('waiting');
      // It may have been closed meanwhile.
      if (this.#by !== by) return;
      this.#failed = 0;
      this.#show(waiting);
    } catch (error) {
      if (this.#by !== by) return;
      this.#failed += 1;
      // Who may not is told at once, and asks no more: an old token is answered otherwise.
      const never = error instanceof Refused && error.status === 403;
      if (never || this.#failed === FAILURES) {
        this.#trouble(`who waits to be let in cannot be seen: ${(error as Error).message}`);
      }
      if (never) return;
    }
    if (this.#by === by) this.#timer = setTimeout(() => void this.#look(), EACH);
  }

  async #ask<T>(what: string, body?: object): Promise<T> {
    const by = this.#by;
    if (by === undefined) throw new Error('this page is not in the meeting');
    return askAbout<T>(by.meeting, what, body, await by.token(this.#failed > 0));
  }

  #show(waiting: Waiting[]) {
    for (const [id, line] of this.#lines) {
      if (!waiting.some((one) => one.id === id)) this.#drop(id, line);
    }
    const came = waiting.filter(({ id }) => !this.#lines.has(id));
    for (const one of came) {
      const line = this.#line(one);
      this.#lines.set(one.id, line);
      this.#list.append(line);
    }
    this.#all.hidden = this.#lines.size === 0;
    if (came.length > 0) {
      this.#news(`${came.map(({ name }) => name).join(', ')} ${came.length > 1 ? 'wait' : 'waits'} to be let in`);
    }
  }

  #drop(id: string, line: HTMLLIElement) {
    const focused = line.contains(document.activeElement);
    line.remove();
    this.#lines.delete(id);
    this.#all.hidden = this.#lines.size === 0;
    // Who decides by keyboard goes on with the next, and never lands on a button that does something else.
    if (focused) (this.#list.querySelector('button') ?? element('who')).focus();
  }

  #line({ id, name, signed_in }: Waiting): HTMLLIElement {
    const line = document.createElement('li');
    const called = document.createElement('span');
    called.textContent = `${name} (${signed_in ? 'signed in' : 'guest'})`;
    const act = (label: string, admit: boolean) => {
      const button = document.createElement('button');
      button.textContent = label;
      button.className = admit ? 'main admit' : 'refuse';
      button.setAttribute('aria-label', `${label}: ${name}`);
      button.addEventListener('click', () => void this.#decide(id, name, admit, line));
      return button;
    };
    line.append(called, act('Let in', true), act('Turn away', false));
    return line;
  }

  async #decide(id: string, name: string, admit: boolean, line: HTMLLIElement) {
    try {
      await this.#ask(`waiting/${encodeURIComponent(id)}`, { admit });
      this.#drop(id, line);
      this.#news(admit ? `${name} is let in` : `${name} is not let in`);
    } catch (error) {
      this.#trouble(`that was not done: ${(error as Error).message}`);
    }
  }
}
