// SPDX-License-Identifier: MIT OR Apache-2.0
// What page, worker and core say to each other. The core's side of it is told.rs, answer.rs and view.rs.

export type Source = 'camera' | 'microphone' | 'other' | 'screen' | 'screen-sound';
export type Kind = 'agent' | 'bridge' | 'egress' | 'ingress' | 'other' | 'person' | 'sip';

/** A published track, as the service says. */
export interface Track {
  sid: string;
  source: Source;
  sort: 'other' | 'picture' | 'sound';
  muted: boolean;
  sealed: boolean;
}

/** A participant, as the service says. */
export interface Who {
  identity: string;
  name: string;
  kind: Kind;
  present: boolean;
  /** It has left because it was put out. */
  removed: boolean;
  tracks: Track[];
}

/** A part of what somebody writes. */
export type Piece =
  | { is: 'begin'; id: string; about: 'line' | 'history'; text: number[] }
  | { is: 'end'; id: string; whole: boolean }
  | { is: 'line'; id: string; text: string }
  | { is: 'part'; id: string; index: number; text: number[] };

/** What happened. */
export type Told =
  | { t: 'deed'; act: 'end' | 'mute' | 'remove'; to: string }
  | { t: 'enter'; identity: string; hub: string }
  | { t: 'heard'; from: string; piece: Piece }
  | { t: 'hold' | 'left' | 'press' | 'resumed' | 'tick' }
  | { t: 'joined'; me: string; others: Who[]; metadata: string }
  | { t: 'metadata'; text: string }
  | { t: 'participants'; who: Who[] }
  | { t: 'passphrase'; words: string }
  | { t: 'receives'; pipe: number; sid: string }
  | { t: 'said'; from: string; text: string }
  | { t: 'sealed'; from: string; iv: number[]; key_index: number; value: number[] }
  | { t: 'secret'; text: string }
  | { t: 'sends'; pipe: number; sid: string; source: Source }
  | { t: 'stopped'; pipe: number }
  | { t: 'trailer'; bytes: number[] }
  | { t: 'write'; line: string; sealed: boolean };

/** A line of chat, or word of one that is not shown. */
export interface Line {
  /** Nobody: the person at this page. */
  from: string | null;
  called: string;
  text: string;
  how: 'sealed' | 'clear' | 'refused';
  /** Only that member's word: it was written before. */
  told: { by: string; ago: number } | null;
}

/** What is to be done by the page. */
export type Todo =
  | { do: 'announce'; text: string; denied: boolean }
  | { do: 'deed'; certificate: string; deed: string }
  | { do: 'enter'; certificate: string; proof: string; identity: string }
  | ({ do: 'line' } & Line)
  | { do: 'play' | 'stop'; sid: string }
  | { do: 'remove'; identity: string }
  | { do: 'say'; to: string[]; text: string }
  | { do: 'send'; packets: number[][]; clear: boolean; unasked: boolean }
  | { do: 'write-metadata'; text: string };

/** What the core answers. */
export interface Answer {
  todo: Todo[];
  /** Milliseconds of the clock that was passed in. */
  wake: number | null;
  refused: string | null;
}

/** A track of somebody else. */
export interface RemoteTrack {
  sid: string;
  source: Source;
  muted: boolean;
  verification: 'clear' | 'refused' | 'silent' | 'verified' | 'waiting';
  text: string;
  opened: number;
  refused: number;
}

/** How everything stands. */
export interface View {
  shield: string;
  name: string;
  green: boolean;
  reasons: { who: string | null; text: string }[];
  people: {
    identity: string;
    called: string;
    standing: 'open' | 'verified' | 'pending' | 'unsealed' | 'keyless';
    why: string;
    tracks: RemoteTrack[];
  }[];
  dropped: string[];
  sending: string;
  writes: 'sealed' | 'clear' | null;
  own: { sid: string; source: Source; sealed: number; clear: number; dropped: number }[];
  on: boolean | null;
  host: boolean;
  asks: 'passphrase' | 'key' | 'link' | null;
  countdown: { by: string | null; left: number } | null;
}

/** Which way a pipe leads, and what is in it where its frames do not say so themselves. */
export interface Pipe {
  pipe: number;
  out: boolean;
  mime: string;
}

/** A room without a link. */
export interface Address {
  room: string;
  key: 'none' | 'people' | 'service';
}

/** A meeting that is not joined yet. */
export interface Begun {
  room: string;
  /** The service makes its key, and is asked for it after each join. */
  service: boolean;
}

/** What the page says to the worker. */
export type ToWorker =
  | { kind: 'begin'; link: string }
  | ({ kind: 'visit' } & Address)
  | { kind: 'ask-secret'; token: string }
  | { kind: 'told'; told: Told }
  | ({ kind: 'pipe'; readable: ReadableStream; writable: WritableStream } & Pipe);

/** What the worker says to the page. */
export type FromWorker =
  | ({ kind: 'begun' } & Begun)
  | { kind: 'broken'; text: string }
  | { kind: 'not-a-meeting'; text: string }
  | { kind: 'no-secret'; text: string }
  | { kind: 'refused'; text: string }
  | { kind: 'todo'; todo: Todo[] }
  | { kind: 'view'; view: View };
