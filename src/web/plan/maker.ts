// SPDX-License-Identifier: MIT OR Apache-2.0
// Makes meetings in this browser, in the core, and reads the keys of rooms there. abi.rs is its other side.

interface Exports {
  memory: WebAssembly.Memory;
  input(length: number): number;
  output(): number;
  plan(unix: number): number;
  words(): number;
  wipe(): void;
}

/** What an organiser wants. */
export interface Wish {
  origin: string;
  host: string;
  sealed: boolean;
  /** The room boxes that are to come, with the keys that were compared. */
  rooms: { device: string; key: string }[];
  /** SHA-256 of the certificate to expect at the hub, in hexadecimal digits; `null`: one that is believed. */
  certificate: string | null;
}

/** A meeting. Both links and the code are secret. */
export interface Planned {
  room: string;
  meeting_key: string;
  policy: string | null;
  host: string;
  guest: string;
  code: { size: number; path: string } | null;
  /** For each room box the link of the host, which nobody else can read. */
  rooms: { device: string; sealed: string }[];
}

const SEED = 32;

let loaded: Promise<Exports> | undefined;

/** Has the core do something with what is put in behind so many random bytes; what it gives is wiped there. */
async function ask<T extends object>(asked: unknown, random: number, work: (core: Exports) => number): Promise<T> {
  loaded ??= WebAssembly.instantiateStreaming(fetch('/join/core.wasm')).then(({ instance }) => instance.exports as unknown as Exports);
  const core = await loaded;
  const text = new TextEncoder().encode(JSON.stringify(asked));
  const at = core.input(random + text.length);
  const input = new Uint8Array(core.memory.buffer, at, random + text.length);
  crypto.getRandomValues(input.subarray(0, random));
  input.set(text, random);
  const length = work(core);
  const output = new TextDecoder().decode(new Uint8Array(core.memory.buffer, core.output(), length));
  core.wipe();
  const made = JSON.parse(output) as T | { error: string };
  if ('error' in made) throw new Error(made.error);
  return made;
}

/** As links write what is hexadecimal elsewhere. */
function base64url(hex: string): string {
  const bytes = (hex.match(/../g) ?? []).map((digits) => parseInt(digits, 16));
  return btoa(String.fromCharCode(...bytes)).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}

/** Makes a meeting, or says why that cannot be. */
export async function make(wish: Wish): Promise<Planned> {
  const asked = { ...wish, certificate: wish.certificate === null ? null : base64url(wish.certificate) };
  const made = await ask<{ planned: Planned }>(asked, SEED, (core) => core.plan(Math.floor(Date.now() / 1000)));
  return made.planned;
}

/** The words by which people compare the key of a room box with what the box shows. */
export async function words(key: string): Promise<string[]> {
  return (await ask<{ words: string[] }>(key, 0, (core) => core.words())).words;
}
