// SPDX-License-Identifier: MIT OR Apache-2.0
// Who is here and how everybody stands, with what a host may do about it. Names and reasons become text, never markup.

import type { RemoteTrack, View } from './told.js';
import { element, line } from './views.js';

type Person = View['people'][number];

/** What is asked of the meeting service about somebody. */
export type Demand = (act: 'mute' | 'remove', person: Person) => void;

/** How long a button waits to be pressed again. */
const ASKS = 4000;

/** The list of people. Its lines stay, so that who stands on a button there keeps it. */
export class Roster {
  readonly #place = element('people');
  readonly #lines = new Map<string, Line>();
  readonly #demand: Demand;

  constructor(demand: Demand) {
    this.#demand = demand;
  }

  /** Shows these, with buttons for a host. */
  show(people: Person[], host: boolean) {
    for (const [identity, line] of this.#lines) {
      if (people.some((it) => it.identity === identity)) continue;
      line.all.remove();
      this.#lines.delete(identity);
    }
    for (const person of people) {
      let line = this.#lines.get(person.identity);
      if (line === undefined) {
        line = new Line(person, this.#demand);
        this.#lines.set(person.identity, line);
        this.#place.append(line.all);
      }
      line.show(person, host);
    }
  }
}

class Line {
  readonly all = document.createElement('li');
  readonly #text = document.createElement('span');
  readonly #mute = document.createElement('button');
  readonly #remove = document.createElement('button');
  readonly #tracks = document.createElement('ul');
  #person: Person;

  constructor(person: Person, demand: Demand) {
    this.#person = person;
    this.all.dataset.identity = person.identity;
    this.#mute.textContent = 'Mute';
    this.#mute.className = 'mute';
    this.#mute.addEventListener('click', () => demand('mute', this.#person));
    this.#remove.className = 'remove';
    sure(this.#remove, 'Remove', 'Really remove?', () => demand('remove', this.#person));
    const acts = document.createElement('span');
    acts.className = 'acts';
    acts.append(this.#mute, this.#remove);
    this.all.append(this.#text, acts, this.#tracks);
  }

  show(person: Person, host: boolean) {
    this.#person = person;
    const { called, standing, why, tracks } = person;
    this.all.dataset.standing = standing;
    write(this.#text, why === '' ? called : `${called}: ${why}`);
    this.#mute.hidden = !host || audible(person) === undefined;
    this.#remove.hidden = !host;
    this.#mute.setAttribute('aria-label', `Mute ${called}`);
    const lines = tracks.map(track);
    const same = this.#tracks.children.length === lines.length
      && lines.every((made, at) => this.#tracks.children[at]?.outerHTML === made.outerHTML);
    if (!same) this.#tracks.replaceChildren(...lines);
  }
}

/** What can be muted of somebody, by the service's name. */
export function audible(person: Person): string | undefined {
  return person.tracks.find(({ source, muted }) => source === 'microphone' && !muted)?.sid;
}

/** A button that does what it says when it is pressed again soon. */
export function sure(button: HTMLElement, label: string, question: string, act: () => void) {
  let asked: ReturnType<typeof setTimeout> | undefined;
  const calm = () => {
    clearTimeout(asked);
    asked = undefined;
    button.textContent = label;
  };
  button.addEventListener('click', () => {
    if (asked === undefined) {
      button.textContent = question;
      asked = setTimeout(calm, ASKS);
      return;
    }
    calm();
    act();
  });
  calm();
}

function write(place: HTMLElement, value: string) {
  if (place.textContent !== value) place.textContent = value;
}

function track({ sid, source, text, verification, opened, refused }: RemoteTrack): HTMLLIElement {
  // Frames that were refused are in the words of the core, with the reason.
  const count = opened > 0 ? ` (${opened} opened)` : '';
  return line(`${source}: ${text}${count}`, {
    sid, source, verification, opened: String(opened), refused: String(refused),
  });
}
