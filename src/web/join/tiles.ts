// SPDX-License-Identifier: MIT OR Apache-2.0
// Pictures and sound of the others, and the own picture.

import { type Participant, type Room, Track } from './livekit-client.mjs';
import { ownPicture, subscribed } from './sealing.js';

/** What is shown and sounded, by the core's names of the tracks. */
export class Tiles {
  readonly #place: HTMLElement;
  readonly #room: Room;
  readonly #shown = new Map<string, HTMLElement>();

  constructor(place: HTMLElement, room: Room) {
    this.#place = place;
    this.#room = room;
  }

  /** Shows or sounds a track. What may not be played does not come out of the worker, so the tile stays black. */
  play(sid: string) {
    this.stop(sid);
    const track = subscribed(this.#room, sid);
    if (track === undefined) return;
    const media = track.attach();
    if (track.kind === Track.Kind.Audio) {
      media.hidden = true;
      this.#keep(sid, media);
      return;
    }
    const owner = [...this.#room.remoteParticipants.values()].find((it) => it.trackPublications.has(sid));
    const screen = track.source === Track.Source.ScreenShare;
    const name = owner?.name || owner?.identity || '';
    const made = tile(media, screen ? `Screen of ${name}` : name, sid);
    made.dataset.who = screen ? '' : owner?.identity ?? '';
    made.classList.toggle('screen', screen);
    this.#keep(sid, made);
  }

  /** Stops showing or sounding a track. */
  stop(sid: string) {
    this.#shown.get(sid)?.remove();
    this.#shown.delete(sid);
  }

  /** Shows the own picture, if there is one. */
  own() {
    this.stop('');
    const media = ownPicture(this.#room)?.attach();
    if (media === undefined) return;
    (media as HTMLMediaElement).muted = true;
    const made = tile(media, 'You', '');
    made.dataset.who = this.#room.localParticipant.identity;
    this.#keep('', made);
  }

  /** Marks who is heard, as the service says: it decides nothing. */
  speak(speakers: Participant[]) {
    const heard = new Set(speakers.map((it) => it.identity));
    for (const made of this.#shown.values()) made.classList.toggle('speaks', heard.has(made.dataset.who ?? ''));
  }

  /** Nothing is shown any more. */
  clear() {
    for (const sid of [...this.#shown.keys()]) this.stop(sid);
  }

  #keep(sid: string, what: HTMLElement) {
    this.#shown.set(sid, what);
    // What is shared is what people look at.
    if (what.classList.contains('screen')) this.#place.prepend(what);
    else this.#place.append(what);
  }
}

function tile(media: HTMLElement, called: string, sid: string): HTMLElement {
  const made = document.createElement('figure');
  const caption = document.createElement('figcaption');
  caption.textContent = called;
  made.dataset.sid = sid;
  made.append(media, caption);
  return made;
}
