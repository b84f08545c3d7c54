// SPDX-License-Identifier: MIT OR Apache-2.0
// The buttons of the meeting.

import { type Room, RoomEvent, Track } from './livekit-client.mjs';
import type { Told } from './told.js';
import { element } from './views.js';

/** How long a button is held to turn encryption off. */
const HELD = 2000;

/** Makes the buttons do what they say. */
export function controls(room: Room, tell: (told: Told) => void, trouble: (text: string) => void) {
  const me = room.localParticipant;
  toggle('microphone', trouble, (on) => me.setMicrophoneEnabled(on));
  toggle('camera', trouble, (on) => me.setCameraEnabled(on));
  const screen = toggle('screen', trouble, (on) => me.setScreenShareEnabled(on));
  // Telephones have no way to do it.
  screen.hidden = navigator.mediaDevices?.getDisplayMedia === undefined;
  room.on(RoomEvent.LocalTrackUnpublished, ({ source }) => {
    // The browser has a button of its own to end it.
    if (source === Track.Source.ScreenShare) screen.setAttribute('aria-pressed', 'false');
  });
  element('leave').addEventListener('click', () => void room.disconnect());
  seal(tell);
}

function toggle(id: string, trouble: (text: string) => void, change: (on: boolean) => Promise<unknown>): HTMLElement {
  const button = element(id);
  button.addEventListener('click', async () => {
    const on = button.getAttribute('aria-pressed') !== 'true';
    try {
      await change(on);
      button.setAttribute('aria-pressed', String(on));
    } catch (error) {
      trouble(`this did not work: ${(error as Error).message}`);
    }
  });
  return button;
}

/** As at the box: a press turns on or ends a countdown, and what is held for two seconds begins one. */
function seal(tell: (told: Told) => void) {
  const button = element('e2ee');
  let held: ReturnType<typeof setTimeout> | undefined;
  const down = () => {
    if (held !== undefined) return;
    tell({ t: 'press' });
    held = setTimeout(() => tell({ t: 'hold' }), HELD);
  };
  const up = () => {
    clearTimeout(held);
    held = undefined;
  };
  const presses = (event: KeyboardEvent) => event.key === ' ' || event.key === 'Enter';
  button.addEventListener('pointerdown', down);
  for (const name of ['pointerup', 'pointerleave', 'pointercancel', 'blur']) button.addEventListener(name, up);
  button.addEventListener('keydown', (event) => presses(event) && down());
  button.addEventListener('keyup', (event) => presses(event) && up());
}
