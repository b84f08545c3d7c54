// SPDX-License-Identifier: MIT OR Apache-2.0
// Room boxes that can be booked. The hub says which key a room has, and the host link is sealed to that: so people compare
// the words of a key, once, with those that the box itself shows. What was compared stays in this browser; it is no secret.

import type { Room } from './hub.js';
import { words } from './maker.js';

/** What was compared of a room: it stands under the room's id. */
interface Compared {
  name: string;
  key: string;
}

const PREFIX = 'roomseal room ';

/** Where the browser keeps nothing, what was compared holds as long as the page is open. */
const here = new Map<string, Compared>();

function compared(id: string): Compared | undefined {
  try {
    const kept = localStorage.getItem(PREFIX + id);
    if (kept !== null) return JSON.parse(kept) as Compared;
  } catch {
    // It counts as not compared.
  }
  return here.get(id);
}

function keep({ id, name, key }: Room) {
  here.set(id, { name, key });
  try {
    localStorage.setItem(PREFIX + id, JSON.stringify({ name, key }));
  } catch {
    // For this time it is in memory.
  }
}

/** How a room stands here: both name and key have to be those that were compared. */
function standing({ id, name, key }: Room): 'compared' | 'new' | 'changed' {
  const before = compared(id);
  if (before === undefined) return 'new';
  return before.name === name && before.key === key ? 'compared' : 'changed';
}

function paragraph(text: string, kind?: string): HTMLElement {
  const made = document.createElement('p');
  made.textContent = text;
  if (kind !== undefined) made.className = kind;
  return made;
}

/** What has to be compared of a room; `done` when somebody says that it is the same. */
async function comparison(room: Room, done: () => void): Promise<HTMLElement[]> {
  const changed = standing(room) === 'changed';
  const shown = paragraph((await words(room.key)).join(' '), 'words');
  const same = document.createElement('button');
  same.type = 'button';
  same.textContent = 'The box shows the same words';
  same.setAttribute('aria-label', `The box of ${room.name} shows the same words`);
  same.addEventListener('click', () => {
    keep(room);
    done();
  });
  return [
    changed
      ? paragraph(`Warning: this is not the key, or not the name, that was compared in this browser (${compared(room.id)?.name}). `
        + 'Somebody may want to read your meeting. Ask whoever looks after the box whether it has a new key, and compare again:', 'bad')
      : paragraph('This browser has not booked this room before. Compare these words with those that its box shows '
        + '(on its page, or with roomseal enrol --show), so that nobody else gets your link as host:', 'quiet'),
    shown,
    same,
  ];
}

/** The rooms that can be ticked, in `place`. */
export class Rooms {
  private readonly ticked = new Map<string, Room>();

  constructor(private readonly place: HTMLElement, private readonly list: HTMLElement) {}

  /** Shows these, and none of them ticked. */
  show(rooms: Room[]) {
    this.ticked.clear();
    this.place.hidden = rooms.length === 0;
    this.list.replaceChildren(...rooms.map((room) => this.item(room)));
  }

  /** What was ticked: only rooms whose words were compared. */
  chosen(): { device: string; key: string }[] {
    return [...this.ticked.values()].map((room) => {
      if (standing(room) !== 'compared') {
        // What is missing may be far from where the trouble is shown.
        this.list.querySelector<HTMLElement>(`[data-room="${CSS.escape(room.id)}"] button`)?.focus();
        throw new Error(`compare the words of ${room.name} with those that its box shows, or leave it out`);
      }
      return { device: room.id, key: room.key };
    });
  }

  private item(room: Room): HTMLElement {
    const item = document.createElement('li');
    item.dataset.room = room.id;
    const label = document.createElement('label');
    label.className = 'choice';
    const tick = document.createElement('input');
    tick.type = 'checkbox';
    const name = document.createElement('span');
    name.textContent = room.name;
    label.append(tick, name);
    const about = document.createElement('div');
    about.setAttribute('role', 'status');
    item.append(label, about);
    const draw = async () => {
      const asks = tick.checked && standing(room) !== 'compared';
      const parts = asks ? await comparison(room, draw) : [];
      // Somebody may have ticked again meanwhile.
      if (asks === (tick.checked && standing(room) !== 'compared')) about.replaceChildren(...parts);
    };
    tick.addEventListener('change', () => {
      if (tick.checked) this.ticked.set(room.id, room);
      else this.ticked.delete(room.id);
      draw().catch((error) => about.replaceChildren(paragraph(String(error), 'bad')));
    });
    return item;
  }
}
