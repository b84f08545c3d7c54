// SPDX-License-Identifier: MIT OR Apache-2.0
// The worker: the core, and the pipes that all frames of the page go through.

import { Core } from './core.js';
import { askAbout } from './service.js';
import type { Begun, FromWorker, Pipe, Told, ToWorker } from './told.js';

/** How often what was counted is looked at, and the page is told how everything stands. */
const TURN = 250;

interface Frame {
  data: ArrayBuffer;
  getMetadata(): { mimeType?: string };
}

interface Transformed extends Event {
  transformer: { readable: ReadableStream<Frame>; writable: WritableStream<Frame>; options: Pipe };
}

const worker = self as unknown as {
  postMessage(message: FromWorker): void;
  onmessage: ((event: MessageEvent<ToWorker>) => void) | null;
  onrtctransform: ((event: Transformed) => void) | null;
};

let core: Core | undefined;
let room = '';
let wake: ReturnType<typeof setTimeout> | undefined;
let broken = false;

function stop(error: unknown) {
  if (broken) return;
  broken = true;
  worker.postMessage({ kind: 'broken', text: `the core has stopped, and nothing is sent any more: reload the page (${error})` });
}

function tell(told: Told) {
  if (!core?.alive) return;
  try {
    const answer = core.handle(told);
    if (answer.todo.length > 0) worker.postMessage({ kind: 'todo', todo: answer.todo });
    if (answer.refused !== null) worker.postMessage({ kind: 'refused', text: answer.refused });
    if (answer.wake !== null) {
      clearTimeout(wake);
      wake = setTimeout(() => tell({ t: 'tick' }), Math.max(0, answer.wake - performance.now()));
    }
    worker.postMessage({ kind: 'view', view: core.view() });
  } catch (error) {
    stop(error);
  }
}

/** Sends every frame of a pipe through the core; without a core none passes. */
function join({ pipe, out, mime }: Pipe, readable: ReadableStream<Frame>, writable: WritableStream<Frame>) {
  const through = new TransformStream<Frame, Frame>({
    transform(frame, controller) {
      if (!core?.alive) return;
      try {
        const kind = frame.getMetadata().mimeType ?? mime;
        const data = out ? core.seal(pipe, kind, frame.data) : core.open(pipe, kind, frame.data);
        if (data === undefined) return;
        if (data !== frame.data) frame.data = data;
        controller.enqueue(frame);
      } catch (error) {
        stop(error);
      }
    },
  });
  // A pipe ends with its track.
  readable.pipeThrough(through).pipeTo(writable).catch(() => {});
}

async function begin(enter: (core: Core) => Begun | { error: string }) {
  const loaded = await Core.load(await fetch('core.wasm'), () => performance.now());
  const begun = enter(loaded);
  if ('error' in begun) {
    worker.postMessage({ kind: 'not-a-meeting', text: begun.error });
    return;
  }
  core = loaded;
  room = begun.room;
  worker.postMessage({ kind: 'begun', ...begun });
  setInterval(() => tell({ t: 'tick' }), TURN);
}

/** Asks the service for the key that it made; the page never sees it. */
async function askSecret(token: string) {
  try {
    const given = await askAbout<{ secret: string }>(room, 'secret', undefined, token);
    tell({ t: 'secret', text: given.secret });
  } catch (error) {
    worker.postMessage({ kind: 'no-secret', text: (error as Error).message });
  }
}

worker.onrtctransform = ({ transformer: { readable, writable, options } }) => join(options, readable, writable);

worker.onmessage = ({ data }) => {
  switch (data.kind) {
    case 'begin':
      begin((core) => core.begin(data.link)).catch(stop);
      break;
    case 'visit':
      begin((core) => core.visit(data)).catch(stop);
      break;
    case 'ask-secret':
      void askSecret(data.token);
      break;
    case 'told':
      tell(data.told);
      break;
    case 'pipe':
      join(data, data.readable, data.writable);
      break;
  }
};
