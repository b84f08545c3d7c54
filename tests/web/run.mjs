// SPDX-License-Identifier: MIT OR Apache-2.0
// Runs cores of the join page, as built, outside a browser: one JSON object per line in, one per line out, in order.
//
//   node run.mjs PATH/TO/.cache/web
//
// {"op": "begin", "id", "link"}                       a member by a link
// {"op": "tell", "id", "now": ms, "told"}             what happened; answers what is to be done
// {"op": "view", "id", "now": ms}                     how everything stands
// {"op": "seal" | "open", "id", "now": ms, "pipe", "mime", "frame": hex}     answers hex, null for what does not pass
//
// Answers: {"ok": value} or {"error": text}.
import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { webcrypto } from 'node:crypto';
import { pathToFileURL } from 'node:url';

// What a browser has and Node 18 lacks.
globalThis.crypto ??= webcrypto;
const [place] = process.argv.slice(2);
const { Core } = await import(pathToFileURL(`${place}/core.js`));
const module = await readFile(`${place}/core.wasm`);
const cores = new Map();
let now = 0;

const bytes = (hex) => Uint8Array.from(Buffer.from(hex, 'hex')).buffer;
const hex = (frame) => (frame === undefined ? null : Buffer.from(frame).toString('hex'));
const operations = {
  async begin({ id, link }) {
    const core = await Core.load(module, () => now);
    cores.set(id, core);
    return core.begin(link);
  },
  tell: ({ id, told }) => cores.get(id).handle(told),
  view: ({ id }) => cores.get(id).view(),
  seal: ({ id, pipe, mime, frame }) => hex(cores.get(id).seal(pipe, mime, bytes(frame))),
  open: ({ id, pipe, mime, frame }) => hex(cores.get(id).open(pipe, mime, bytes(frame))),
};

for await (const line of createInterface({ input: process.stdin })) {
  const { op, ...what } = JSON.parse(line);
  now = what.now ?? now;
  try {
    console.log(JSON.stringify({ ok: (await operations[op](what)) ?? null }));
  } catch (error) {
    console.log(JSON.stringify({ error: String(error) }));
  }
}
