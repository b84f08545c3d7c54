// SPDX-License-Identifier: MIT OR Apache-2.0
// Runs LiveKit's frame worker, as shipped, outside a browser: frames in and out as lines of JSON.
//
//   node run.mjs PATH/TO/livekit-client/dist/livekit-client.e2ee.worker.mjs
//
// Each line of standard input is one batch:
//   {"op": "encode" | "decode", "codec": "opus" | "vp8" | "h264", "kdf": "PBKDF2" | "HKDF", "secret": hex,
//    "keyIndex": n, "frames": [hex, ..]}
//   {"op": "encrypt" | "decrypt", "kdf": .., "secret": .., "keyIndex": n, "packets": [..]}
// and is answered by one line, in order: {"frames": [hex | null, ..], "errors": [text, ..]}, null for a frame that the
// worker did not let through. Packets to encrypt are hex, packets to decrypt {"iv", "keyIndex", "value"}.
import { createInterface } from 'node:readline';
import { webcrypto } from 'node:crypto';
import { pathToFileURL } from 'node:url';

// What a browser has and Node 18 lacks.
globalThis.crypto ??= webcrypto;
globalThis.CustomEvent ??= class extends Event {};
globalThis.RTCEncodedAudioFrame = class {};
globalThis.RTCEncodedVideoFrame = class {};

const errors = [];
const pending = new Map();
globalThis.self = globalThis;
globalThis.postMessage = ({ kind, data }) => {
  if (kind === 'error') errors.push(String(data.error?.message ?? data.error));
  const waiting = pending.get(data?.uuid ?? kind);
  if (waiting) {
    pending.delete(data?.uuid ?? kind);
    waiting(kind === 'error' ? null : data);
  }
};
// Assigned by the worker; it has to exist for an ES module to assign it.
globalThis.onmessage = undefined;

const answer = (name, message) =>
  new Promise((resolve) => {
    pending.set(name, resolve);
    globalThis.onmessage({ data: message });
  });

const bytes = (hex) => new Uint8Array(Buffer.from(hex, 'hex'));
const hex = (buffer) => Buffer.from(buffer).toString('hex');

let batches = 0;
const SSRC = 0xc0ffee01;
const CLOCK = { opus: 960, vp8: 3000, h264: 3000 };

function frame(codec, data, number) {
  const common = {
    data: data.buffer,
    timestamp: (0xfffff000 + number * CLOCK[codec]) >>> 0,
    getMetadata: () => ({ synchronizationSource: SSRC, payloadType: 96 }),
  };
  if (codec === 'opus') return common;
  const mimeType = `video/${codec.toUpperCase()}`;
  return {
    ...common,
    // As the browser says it, which knows it from the packets or the encoder.
    type: codec === 'h264' || (data[0] & 1) === 0 ? 'key' : 'delta',
    getMetadata: () => ({ synchronizationSource: SSRC, payloadType: 96, mimeType }),
  };
}

async function frames({ op, codec, frames }, participantIdentity) {
  const made = frames.map((data, number) => frame(codec, bytes(data), number));
  const passed = new Set();
  await new Promise((done) => {
    const readableStream = new ReadableStream({
      start(controller) {
        made.forEach((one) => controller.enqueue(one));
        controller.close();
      },
    });
    const writableStream = new WritableStream({
      write: (one) => void passed.add(one),
      close: done,
      abort: (reason) => (errors.push(`aborted: ${reason}`), done()),
    });
    const data = { participantIdentity, trackId: participantIdentity, readableStream, writableStream, codec };
    if (codec === 'opus') delete data.codec;
    globalThis.onmessage({ data: { kind: op, data: { ...data, hasPacketTrailer: false } } });
  });
  return made.map((one) => (passed.has(one) ? hex(one.data) : null));
}

async function packets({ op, packets }, participantIdentity) {
  const out = [];
  for (const [number, packet] of packets.entries()) {
    const uuid = `${participantIdentity}-${number}`;
    const data =
      op === 'encrypt'
        ? { payload: bytes(packet) }
        : { payload: bytes(packet.value), iv: bytes(packet.iv), keyIndex: packet.keyIndex };
    const reply = await answer(uuid, { kind: `${op}DataRequest`, data: { ...data, uuid, participantIdentity } });
    out.push(
      reply && op === 'encrypt'
        ? { iv: hex(reply.iv), keyIndex: reply.keyIndex, value: hex(reply.payload) }
        : reply && hex(reply.payload),
    );
  }
  return out;
}

async function batch(request) {
  const identity = `batch-${++batches}`;
  const key = await crypto.subtle.importKey('raw', bytes(request.secret), request.kdf, false, ['deriveBits', 'deriveKey']);
  globalThis.onmessage({ data: { kind: 'setKey', data: { key, participantIdentity: identity, keyIndex: request.keyIndex } } });
  // The answer to this comes after the key is in: the worker does one thing after the other.
  await answer('enable', { kind: 'enable', data: { enabled: true, participantIdentity: identity } });
  errors.length = 0;
  const out = await (request.packets ? packets(request, identity) : frames(request, identity));
  return { frames: out, errors: [...errors] };
}

await import(pathToFileURL(process.argv[2]).href);
await answer('initAck', {
  kind: 'init',
  data: {
    loglevel: 'silent',
    keyProviderOptions: {
      sharedKey: false,
      ratchetSalt: 'LKFrameEncryptionKey',
      ratchetWindowSize: 0,
      failureTolerance: -1,
      keyringSize: 16,
      keySize: 128,
    },
  },
});
for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(await batch(JSON.parse(line)))}\n`);
}
process.exit(0);
