// SPDX-License-Identifier: MIT OR Apache-2.0
// Stands between LiveKit's client and the worker: where the client looks for its E2EE manager. It leads every frame
// through the worker and tells it what happens; it decides nothing, and neither does what the service says of a track.

import {
  type BaseE2EEManager, DisconnectReason, type LocalTrack, type LocalTrackPublication, type Participant, ParticipantEvent, ParticipantKind,
  type RemoteTrack, type RemoteTrackPublication, type Room, RoomEvent, Track as LiveKitTrack, type TrackPublication,
} from './livekit-client.mjs';
import { Channel, type Engine, TOPIC } from './channel.js';
import type { Kind, Piece, Pipe, Source, Told, ToWorker, Track, Who } from './told.js';

/** As much of LiveKit's as is looked at. */
interface DataPacket {
  participantIdentity: string;
  value:
    | { case: 'user'; value: { topic?: string; payload: Uint8Array } }
    | { case: 'chatMessage'; value: { id: string; message: string } }
    | {
      case: 'streamHeader';
      value: { streamId: string; topic: string; contentHeader: { case?: string }; inlineContent?: Uint8Array };
    }
    | { case: 'streamChunk'; value: { streamId: string; chunkIndex: bigint; content: Uint8Array } }
    | { case: 'streamTrailer'; value: { streamId: string; reason: string } }
    | { case: undefined };
}

/** The topics that are read: LiveKit's chat, and what members tell of it to those who come late. */
const TOPICS = new Map([['lk.chat', 'line'], ['roomseal.history', 'history']] as const);

/** More bytes in one packet are no chat; the core need not look at them. */
const LARGEST = 32 * 1024;

/** A way for frames in Chromium. */
interface Streams {
  createEncodedStreams(): { readable: ReadableStream; writable: WritableStream };
}

const KINDS = new Map<ParticipantKind, Kind>([
  [ParticipantKind.STANDARD, 'person'], [ParticipantKind.INGRESS, 'ingress'], [ParticipantKind.EGRESS, 'egress'],
  [ParticipantKind.SIP, 'sip'], [ParticipantKind.AGENT, 'agent'], [ParticipantKind.BRIDGE, 'bridge'],
]);

const SOURCES = new Map<LiveKitTrack.Source, Source>([
  [LiveKitTrack.Source.Camera, 'camera'], [LiveKitTrack.Source.Microphone, 'microphone'],
  [LiveKitTrack.Source.ScreenShare, 'screen'], [LiveKitTrack.Source.ScreenShareAudio, 'screen-sound'],
]);

function source(publication: TrackPublication): Source {
  return SOURCES.get(publication.source) ?? 'other';
}

function track(publication: TrackPublication): Track {
  const sorts = { [LiveKitTrack.Kind.Audio]: 'sound', [LiveKitTrack.Kind.Video]: 'picture', [LiveKitTrack.Kind.Unknown]: 'other' } as const;
  return {
    sid: publication.trackSid,
    source: source(publication),
    sort: sorts[publication.kind],
    muted: publication.isMuted,
    sealed: publication.isEncrypted,
  };
}

/** What may be a piece of chat that came in the clear. */
function piece(packet: DataPacket['value']): Piece | undefined {
  switch (packet.case) {
    case 'chatMessage':
      return { is: 'line', id: packet.value.id, text: packet.value.message };
    case 'streamHeader': {
      const { streamId: id, topic, contentHeader, inlineContent } = packet.value;
      const about = TOPICS.get(topic as 'lk.chat');
      if (about === undefined || contentHeader.case !== 'textHeader') return undefined;
      return { is: 'begin', id, about, text: [...(inlineContent ?? [])] };
    }
    case 'streamChunk': {
      const { streamId: id, chunkIndex, content } = packet.value;
      const index = Number(chunkIndex);
      if (content.length > LARGEST || !Number.isSafeInteger(index)) return undefined;
      return { is: 'part', id, index, text: [...content] };
    }
    case 'streamTrailer':
      return { is: 'end', id: packet.value.streamId, whole: packet.value.reason === '' };
    default:
      return undefined;
  }
}

function who(participant: Participant, present = true, removed = false): Who {
  return {
    identity: participant.identity,
    name: participant.name ?? '',
    kind: KINDS.get(participant.kind) ?? 'other',
    present,
    removed,
    tracks: [...participant.trackPublications.values()].map(track),
  };
}

/** What the client takes for its E2EE manager. */
export class Sealing implements BaseE2EEManager {
  readonly isEnabled = true;
  /** The way out for what is said. */
  readonly channel = new Channel();
  readonly #worker: Worker;
  #room: Room | undefined;
  /** The session was begun anew, and is not in the room yet. */
  #away = true;
  /** Of each sender and receiver, for as long as the browser keeps it: a pipe is made once. */
  readonly #pipes = new WeakMap<object, number>();
  #last = 0;

  constructor(worker: Worker) {
    this.#worker = worker;
  }

  /** Data packets are sealed elsewhere, or authenticate themselves. */
  get isDataChannelEncryptionEnabled(): boolean {
    return false;
  }

  /** Not for the client to say. */
  set isDataChannelEncryptionEnabled(_wish: boolean) {}

  setup(room: Room): void {
    this.#room = room;
    const local = room.localParticipant;
    const tell = (told: Told) => this.#tell(told);
    const look = (participant: Participant) => {
      if (participant !== local && !this.#away) tell({ t: 'participants', who: [who(participant)] });
    };
    room
      .on(RoomEvent.Connected, () => this.#arrive())
      .on(RoomEvent.Reconnecting, () => this.#leave())
      .on(RoomEvent.Disconnected, () => this.#leave())
      .on(RoomEvent.Reconnected, () => (this.#away ? this.#arrive() : tell({ t: 'resumed' })))
      .on(RoomEvent.RoomMetadataChanged, (text) => tell({ t: 'metadata', text }))
      .on(RoomEvent.ParticipantConnected, look)
      .on(RoomEvent.ParticipantDisconnected, (participant, reason) => {
        tell({ t: 'participants', who: [who(participant, false, reason === DisconnectReason.PARTICIPANT_REMOVED)] });
      })
      .on(RoomEvent.ParticipantNameChanged, (_name, participant) => look(participant))
      .on(RoomEvent.TrackPublished, (_publication, participant) => look(participant))
      .on(RoomEvent.TrackUnpublished, (_publication, participant) => look(participant))
      .on(RoomEvent.TrackMuted, (_publication, participant) => look(participant))
      .on(RoomEvent.TrackUnmuted, (_publication, participant) => look(participant))
      .on(RoomEvent.TrackSubscribed, (track, publication) => this.#receive(track, publication))
      .on(RoomEvent.TrackUnsubscribed, (track) => this.#stop(track.receiver));
    local
      .on(ParticipantEvent.LocalSenderCreated, (sender, track) => {
        this.#lead(sender, true, track.kind === LiveKitTrack.Kind.Audio ? 'audio/opus' : 'video/vp8');
      })
      .on(ParticipantEvent.LocalTrackPublished, (publication) => this.#send(publication))
      .on(ParticipantEvent.LocalTrackUnpublished, (publication) => this.#stop(publication.track?.sender));
  }

  setupEngine(engine: Engine): void {
    if (this.#room !== undefined) this.channel.setup(this.#room, engine);
    // From the engine and not from the room, which drops the name of whom the service does not list.
    const hear = ({ participantIdentity: from, value }: DataPacket) => {
      if (from === '') return;
      if (value.case === 'user' && value.value.topic === TOPIC) {
        this.#tell({ t: 'said', from, text: new TextDecoder().decode(value.value.payload) });
        return;
      }
      const clear = piece(value);
      if (clear !== undefined) this.#tell({ t: 'heard', from, piece: clear });
    };
    engine.on('dataPacketReceived' as never, hear as never);
  }

  /** What a service declares of its participants' tracks never changes how they are opened. */
  setParticipantCryptorEnabled(): void {}

  setSifTrailer(trailer: Uint8Array): void {
    this.#tell({ t: 'trailer', bytes: [...trailer] });
  }

  async encryptData(): Promise<never> {
    throw new Error('data packets are not sealed by the client');
  }

  /** What is sealed is opened and read in the worker; the client gets nothing of it. */
  async handleEncryptedData(value: Uint8Array, iv: Uint8Array, from: string, index: number): Promise<never> {
    if (from !== '' && value.length <= LARGEST) {
      this.#tell({ t: 'sealed', from, iv: [...iv], key_index: index, value: [...value] });
    }
    throw new Error('it is read elsewhere');
  }

  on(): this {
    return this;
  }

  #tell(told: Told) {
    this.#worker.postMessage({ kind: 'told', told } satisfies ToWorker);
  }

  #arrive() {
    const room = this.#room;
    if (room === undefined) return;
    this.#away = false;
    this.channel.arrive();
    const others = [...room.remoteParticipants.values()];
    this.#tell({
      t: 'joined',
      me: room.localParticipant.identity,
      others: others.map((other) => who(other)),
      metadata: room.metadata ?? '',
    });
    for (const publication of room.localParticipant.trackPublications.values()) {
      this.#send(publication as LocalTrackPublication);
    }
    for (const publication of others.flatMap((other) => [...other.trackPublications.values()])) {
      if (publication.track) this.#receive(publication.track as RemoteTrack, publication as RemoteTrackPublication);
    }
  }

  #leave() {
    this.#away = true;
    this.channel.leave();
    this.#tell({ t: 'left' });
  }

  #send(publication: LocalTrackPublication) {
    const pipe = this.#pipe(publication.track?.sender);
    // Before the room is joined anew everything is told at once.
    if (pipe === undefined || this.#away) return;
    this.#tell({ t: 'sends', pipe, sid: publication.trackSid, source: source(publication) });
  }

  #receive(track: RemoteTrack, publication: RemoteTrackPublication) {
    if (track.receiver === undefined) return;
    const pipe = this.#lead(track.receiver, false, publication.mimeType ?? '');
    if (!this.#away) this.#tell({ t: 'receives', pipe, sid: publication.trackSid });
  }

  #stop(end: RTCRtpSender | RTCRtpReceiver | undefined) {
    const pipe = this.#pipe(end);
    if (pipe !== undefined) this.#tell({ t: 'stopped', pipe });
  }

  #pipe(end: object | undefined): number | undefined {
    return end && this.#pipes.get(end);
  }

  /** Leads all frames of a sender or receiver through the worker, from the first on; gives the pipe's number. */
  #lead(end: RTCRtpSender | RTCRtpReceiver, out: boolean, mime: string): number {
    const known = this.#pipes.get(end);
    if (known !== undefined) return known;
    this.#last += 1;
    const options: Pipe = { pipe: this.#last, out, mime };
    this.#pipes.set(end, this.#last);
    if ('createEncodedStreams' in end) {
      // The connection was made for this way by the client, and one connection knows one way only.
      const { readable, writable } = (end as unknown as Streams).createEncodedStreams();
      this.#worker.postMessage({ kind: 'pipe', readable, writable, ...options } satisfies ToWorker, [readable, writable]);
    } else {
      end.transform = new RTCRtpScriptTransform(this.#worker, options);
    }
    return this.#last;
  }
}

/** What a tile shows; the page finds it by the name that the core uses. */
export function subscribed(room: Room, sid: string): RemoteTrack | undefined {
  for (const participant of room.remoteParticipants.values()) {
    const track = participant.trackPublications.get(sid)?.track;
    if (track) return track as RemoteTrack;
  }
  return undefined;
}

/** The own picture, for its tile. */
export function ownPicture(room: Room): LocalTrack | undefined {
  return room.localParticipant.getTrackPublication(LiveKitTrack.Source.Camera)?.track as LocalTrack | undefined;
}
