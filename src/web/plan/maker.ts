// SPDX-License-Identifier: MIT OR Apache-2.0
// Makes meetings in this browser, in the core. abi.rs is its other side.

interface Exports {
  memory: WebAssembly.Memory;
  input(length: number): number;
  output(): number;
  plan(unix: number): number;
  wipe(): void;
}

/** What an organiser wants. */
export interface Wish {
  origin: string;
  host: string;
  sealed: boolean;
}

/** A meeting. Both links and the code are secret. */
export interface Planned {
  room: string;
  meeting_key: string;
  policy: string | null;
  host: string;
  guest: string;
  code: { size: number; path: string } | null;
}

const SEED = 32;

let loaded: Promise<Exports> | undefined;

/** Makes a meeting, or says why that cannot be. */
export async function make(wish: Wish): Promise<Planned> {
  loaded ??= WebAssembly.instantiateStreaming(fetch('/join/core.wasm')).then(({ instance }) => instance.exports as unknown as Exports);
  const core = await loaded;
  const text = new TextEncoder().encode(JSON.stringify(wish));
  const at = core.input(SEED + text.length);
  const input = new Uint8Array(core.memory.buffer, at, SEED + text.length);
  crypto.getRandomValues(input.subarray(0, SEED));
  input.set(text, SEED);
  const length = core.plan(Math.floor(Date.now() / 1000));
  const output = new TextDecoder().decode(new Uint8Array(core.memory.buffer, core.output(), length));
  core.wipe();
  const made = JSON.parse(output) as { planned: Planned } | { error: string };
  if ('error' in made) throw new Error(made.error);
  return made.planned;
}
