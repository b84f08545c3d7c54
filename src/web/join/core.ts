// SPDX-License-Identifier: MIT OR Apache-2.0
// The core in its WebAssembly memory. abi.rs is its other side.

import type { Address, Answer, Begun, Told, View } from './told.js';

interface Exports {
  memory: WebAssembly.Memory;
  input(length: number): number;
  output(): number;
  opened(): number;
  begin(unix: number): number;
  visit(): number;
  handle(now: number): number;
  view(now: number): number;
  seal(pipe: number, codec: number): number;
  open(pipe: number, codec: number, now: number): number;
}

const CODECS = new Map([['audio/opus', 0], ['video/vp8', 1], ['video/h264', 2]]);
const SEED = 32;

/** A meeting with everything that seals and opens. After any error it lets nothing pass, for good. */
export class Core {
  #exports: Exports | undefined;
  readonly #now: () => number;

  /** `now`: milliseconds of any clock that only goes forward. */
  private constructor(exports: Exports, now: () => number) {
    this.#exports = exports;
    this.#now = now;
  }

  /** Takes the module as it came from the server, or its bytes. */
  static async load(module: Response | BufferSource, now: () => number): Promise<Core> {
    const loaded = module instanceof Response
      ? await WebAssembly.instantiateStreaming(module)
      : await WebAssembly.instantiate(module);
    return new Core(loaded.instance.exports as unknown as Exports, now);
  }

  /** Whether it still decides. */
  get alive(): boolean {
    return this.#exports !== undefined;
  }

  /** Begins the meeting of a link, or says why the link is none. */
  begin(link: string): Begun | { error: string } {
    const unix = Math.max(0, Math.floor((Date.now() - this.#now()) / 1000));
    return this.#enter(link, (exports) => exports.begin(unix));
  }

  /** Begins a meeting without a link, or says why there is none. */
  visit({ room, key }: Address): Begun | { error: string } {
    return this.#enter(JSON.stringify({ room, key }), (exports) => exports.visit());
  }

  #enter(by: string, enter: (exports: Exports) => number): Begun | { error: string } {
    return this.#guarded((exports) => {
      const text = new TextEncoder().encode(by);
      const input = this.#input(exports, SEED + text.length);
      crypto.getRandomValues(input.subarray(0, SEED));
      input.set(text, SEED);
      text.fill(0);
      return this.#answer(exports, enter(exports)) as Begun | { error: string };
    });
  }

  /** Takes what happened; gives what is left to do. */
  handle(told: Told): Answer {
    return this.#guarded((exports) => {
      const text = new TextEncoder().encode(JSON.stringify(told));
      this.#input(exports, text.length).set(text);
      const length = exports.handle(this.#now());
      if (length === 0) throw new Error(`the core does not understand '${told.t}'`);
      return this.#answer(exports, length) as Answer;
    });
  }

  /** How everything stands. */
  view(): View {
    return this.#guarded((exports) => this.#answer(exports, exports.view(this.#now())) as View);
  }

  /** What leaves of a frame: a sealed one, the same, or nothing. */
  seal(pipe: number, mime: string, frame: ArrayBuffer): ArrayBuffer | undefined {
    return this.#frame(mime, frame, (exports, codec) => [exports.seal(pipe, codec), exports.output()]);
  }

  /** What is played of a frame: an opened one, the same, or nothing. */
  open(pipe: number, mime: string, frame: ArrayBuffer): ArrayBuffer | undefined {
    return this.#frame(mime, frame, (exports, codec) => [exports.open(pipe, codec, this.#now()), exports.opened()]);
  }

  #frame(
    mime: string, frame: ArrayBuffer, decide: (exports: Exports, codec: number) => [number, number],
  ): ArrayBuffer | undefined {
    const codec = CODECS.get(mime.toLowerCase());
    if (codec === undefined) return undefined;
    return this.#guarded((exports) => {
      this.#input(exports, frame.byteLength).set(new Uint8Array(frame));
      const [length, at] = decide(exports, codec);
      if (length < 0) return undefined;
      return length === 0 ? frame : exports.memory.buffer.slice(at, at + length) as ArrayBuffer;
    });
  }

  #input(exports: Exports, length: number): Uint8Array {
    const at = exports.input(length);
    // The memory may have grown, which leaves older views empty.
    return new Uint8Array(exports.memory.buffer, at, length);
  }

  #answer(exports: Exports, length: number): unknown {
    const text = new Uint8Array(exports.memory.buffer, exports.output(), length);
    return JSON.parse(new TextDecoder().decode(text));
  }

  #guarded<T>(ask: (exports: Exports) => T): T {
    if (this.#exports === undefined) throw new Error('the core has stopped');
    try {
      return ask(this.#exports);
    } catch (error) {
      // What a panic leaves behind decides nothing any more.
      this.#exports = undefined;
      throw error;
    }
  }
}
