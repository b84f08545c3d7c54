// SPDX-License-Identifier: MIT OR Apache-2.0
// The way out for what is said and written: LiveKit's reliable data channel, used only while it stands.

import type { BaseE2EEManager, Room } from './livekit-client.mjs';

/** The topic of the meeting's own messages, which authenticate themselves. */
export const TOPIC = 'roomseal';

export type Engine = Parameters<BaseE2EEManager['setupEngine']>[0];

/** The client's number of it. */
const RELIABLE = 0;

/** The reliable data channel of whatever connection there is. */
export class Channel {
  #engine: Engine | undefined;
  #room: Room | undefined;
  /** Of the stay in the room; `undefined` outside. What was to be said in another stay is not said any more. */
  #stay: number | undefined;
  #stays = 0;
  /** The channel is open, or will be. */
  #open: Promise<void> | undefined;

  setup(room: Room, engine: Engine) {
    this.#room = room;
    this.#engine = engine;
  }

  /** What this browser is in the room by; the service renews it. */
  get token(): string {
    return (this.#engine as unknown as { token?: string } | undefined)?.token ?? '';
  }

  /** In the room, from zero. */
  arrive() {
    this.#stays += 1;
    this.#stay = this.#stays;
    this.#open = undefined;
  }

  /** Out of the room: the connection ends, or is made anew. */
  leave() {
    this.#stay = undefined;
    this.#open = undefined;
  }

  /** Says one of the meeting's own messages to those, or to everybody where there are none. */
  async say(to: string[], text: string) {
    await this.#whileInside(() => this.#room?.localParticipant.publishData(new TextEncoder().encode(text), {
      reliable: true, topic: TOPIC, ...(to.length > 0 ? { destinationIdentities: to } : {}),
    }));
  }

  /**
   * Sends packets to everybody, given as their bytes. `still` is asked right before each leaves. Nothing is kept to be
   * sent later, as the client does while it comes back: who may read a line is decided when it is written.
   */
  async send(packets: Uint8Array<ArrayBuffer>[], still: () => boolean) {
    await this.#whileInside(() => {
      for (const packet of packets) {
        const channel = this.#engine?.dataChannelForKind(RELIABLE, false);
        if (channel?.readyState !== 'open' || !still()) throw new Error('it may not leave any more');
        channel.send(packet);
      }
    });
  }

  /**
   * Does something in the order in which it was asked for, once the channel is open. The client waits for that too, but
   * remembers a wait that failed for as long as it lives, over all connections that come after: it never gets to wait.
   */
  async #whileInside(send: () => Promise<void> | void) {
    const stay = this.#stay;
    if (stay === undefined) return;
    this.#open ??= this.#opens();
    await this.#open;
    if (stay === this.#stay) await send();
  }

  async #opens() {
    const stay = this.#stay;
    try {
      await this.#engine?.ensureDataTransportConnected(RELIABLE, false);
    } catch (error) {
      // Whoever speaks next tries again.
      if (stay === this.#stay) this.#open = undefined;
      throw error;
    }
  }
}
