// SPDX-License-Identifier: MIT OR Apache-2.0
// Before the meeting: what camera and microphone give, seen and heard by nobody else, and which of them are used.

import {
  createLocalAudioTrack, createLocalVideoTrack, type LocalAudioTrack, type LocalVideoTrack,
} from './livekit-client.mjs';
import { element } from './views.js';

/** What a device that is not wanted is called in the lists. */
const NONE = 'none';

/** Own picture and sound, from the moment the page may have them until they are published or given back. */
export class Door {
  #camera: LocalVideoTrack | undefined;
  #microphone: LocalAudioTrack | undefined;
  #ear: { context: AudioContext; timer: ReturnType<typeof setInterval> } | undefined;
  /** What people chose, from one stay to the next; `undefined`: what the browser gives. */
  #chosen: { camera?: string; microphone?: string } = {};
  #opens: Promise<void> = Promise.resolve();
  readonly #trouble: (text: string) => void;

  /** `trouble`: where a device that cannot be used is told of. */
  constructor(trouble: (text: string) => void) {
    this.#trouble = trouble;
    element('cameras').addEventListener('change', () => {
      this.#chosen.camera = chosen('cameras');
      void this.#openCamera(this.#chosen.camera);
    });
    element('microphones').addEventListener('change', () => {
      this.#chosen.microphone = chosen('microphones');
      void this.#openMicrophone(this.#chosen.microphone);
    });
  }

  /** Asks for camera and microphone; one that is missing is no reason to stay out. */
  open(): Promise<void> {
    const open = async () => {
      await this.#openCamera(this.#chosen.camera);
      await this.#openMicrophone(this.#chosen.microphone);
      await this.#list();
    };
    this.#opens = open();
    return this.#opens;
  }

  /** Hands out what is to be published, once it is there; from then on it is the meeting's. */
  async take(): Promise<(LocalAudioTrack | LocalVideoTrack)[]> {
    await this.#opens.catch(() => {});
    const tracks = [this.#microphone, this.#camera].filter((it) => it !== undefined);
    this.#deaf();
    this.#camera = undefined;
    this.#microphone = undefined;
    return tracks;
  }

  async #openCamera(device: string | undefined) {
    this.#camera?.stop();
    this.#camera = undefined;
    const preview = element<HTMLVideoElement>('preview');
    preview.hidden = true;
    if (device === NONE) return;
    try {
      this.#camera = await createLocalVideoTrack(device === undefined ? {} : { deviceId: { exact: device } });
      this.#camera.attach(preview);
      preview.hidden = false;
    } catch (error) {
      this.#trouble(`no camera: ${why(error)}`);
    }
  }

  async #openMicrophone(device: string | undefined) {
    this.#microphone?.stop();
    this.#microphone = undefined;
    this.#deaf();
    if (device === NONE) return;
    try {
      this.#microphone = await createLocalAudioTrack(device === undefined ? {} : { deviceId: { exact: device } });
      this.#listen(this.#microphone.mediaStreamTrack);
    } catch (error) {
      this.#trouble(`no microphone: ${why(error)}`);
    }
  }

  /** Names are there only once a device may be used. */
  async #list() {
    const devices = await navigator.mediaDevices?.enumerateDevices() ?? [];
    for (const [id, kind, track] of [
      ['cameras', 'videoinput', this.#camera], ['microphones', 'audioinput', this.#microphone],
    ] as const) {
      const used = track?.mediaStreamTrack.getSettings().deviceId;
      const options = devices.filter((it) => it.kind === kind && it.deviceId !== '').map((it, at) => {
        return new Option(it.label || `${at + 1}`, it.deviceId, false, it.deviceId === used);
      });
      element(id).replaceChildren(...options, new Option('none', NONE, false, track === undefined));
    }
  }

  /** Shows how loud it is, so that nobody has to ask the others. */
  #listen(track: MediaStreamTrack) {
    const context = new AudioContext();
    const ear = context.createAnalyser();
    context.createMediaStreamSource(new MediaStream([track])).connect(ear);
    const samples = new Float32Array(ear.fftSize);
    const timer = setInterval(() => {
      ear.getFloatTimeDomainData(samples);
      element<HTMLMeterElement>('level').value = Math.max(...samples.map(Math.abs));
    }, 100);
    this.#ear = { context, timer };
  }

  #deaf() {
    clearInterval(this.#ear?.timer);
    void this.#ear?.context.close();
    this.#ear = undefined;
  }
}

function chosen(id: string): string {
  return element<HTMLSelectElement>(id).value;
}

/** What people can do about it, in place of what browsers call it. */
function why(error: unknown): string {
  switch ((error as Error).name) {
    case 'NotAllowedError':
      return 'this browser may not use it; allow it at the address bar, and reload the page';
    case 'NotFoundError':
      return 'there is none; the others will not miss it';
    case 'NotReadableError':
      return 'another program holds it; close that, and reload the page';
    default:
      return (error as Error).message;
  }
}
