# SPDX-License-Identifier: MIT OR Apache-2.0
"""A participant made of LiveKit's official Python SDK, unmodified: publishes numbered pictures and sound, and reports
what it decodes of the others.

Reads one JSON object (a line) from standard input, then runs until that input closes or a line `quit` comes. Writes one
JSON object per line to standard output.

    url, token      where and as whom
    passphrase      end-to-end encryption with this shared passphrase; absent: none
    key_index       the index it seals with (0)
    picture         file of raw I420 frames to publish; absent: no video. With width, height, fps, codec (vp8 or h264)
    sound           file of raw signed 16-bit mono samples at 48 kHz to publish; absent: no audio
    save            folder for what was decoded: <identity>.s16 and <identity>-<n>.pgm

Further lines: `report`; `decoder IDENTITY` tells what came of the newest tracks of somebody and what the decoders made of
it; `write TEXT` is a line of chat to everybody.

Pictures are handed out by streams of the SDK, which stop at times (1.2.1, on a busy machine) while its decoder goes on: who
waits for pictures in a long meeting asks for the decoder's figures.
"""

import asyncio
import json
import pathlib
import sys

import numpy as np
from livekit import rtc

RATE = 48_000
CHAT = "lk.chat"
# A frame carries its number in its picture: 16 squares, the most significant bit first, and below them their complement.
BITS, SQUARE = 16, 16
STATES = {value: name for name, value in rtc.EncryptionState.items()}


def say(event, **fields):
    print(json.dumps({"event": event, **fields}), flush=True)


def draw(luma, number):
    for bit in range(BITS):
        lit = (number >> (BITS - 1 - bit)) & 1
        x = bit * SQUARE
        luma[0:SQUARE, x : x + SQUARE] = 235 if lit else 16
        luma[SQUARE : 2 * SQUARE, x : x + SQUARE] = 16 if lit else 235


def read(luma):
    """The number drawn into a picture, or None when the squares and their complement disagree."""
    number = 0
    if luma.shape[0] < 2 * SQUARE or luma.shape[1] < BITS * SQUARE:
        return None
    for bit in range(BITS):
        x = bit * SQUARE
        upper = luma[4:12, x + 4 : x + 12].mean() > 128
        lower = luma[SQUARE + 4 : SQUARE + 12, x + 4 : x + 12].mean() > 128
        if upper == lower:
            return None
        number = number << 1 | int(upper)
    return number


class Peer:
    def __init__(self, wanted):
        self.wanted = wanted
        self.room = rtc.Room()
        self.tasks = set()
        self.seen = {}
        self.tracks = {}

    def spawn(self, coroutine):
        task = asyncio.create_task(coroutine)
        self.tasks.add(task)
        task.add_done_callback(self.ended)

    def ended(self, task):
        self.tasks.discard(task)
        if not task.cancelled() and task.exception():
            say("trouble", text=repr(task.exception()))

    async def watch_video(self, track, identity):
        seen = self.seen.setdefault(identity, {}).setdefault("video", {"frames": 0, "numbers": [], "width": 0, "height": 0})
        async for event in rtc.VideoStream(track, format=rtc.VideoBufferType.I420):
            frame = event.frame
            luma = np.frombuffer(frame.get_plane(0), dtype=np.uint8)[: frame.width * frame.height]
            luma = luma.reshape(frame.height, frame.width)
            if seen["frames"] == 0:
                say("first_picture", identity=identity, width=frame.width, height=frame.height)
            seen["frames"] += 1
            seen["width"], seen["height"] = frame.width, frame.height
            number = read(luma)
            if number is not None:
                seen["numbers"].append(number)
            if self.wanted.get("save") and seen["frames"] % 15 == 0 and seen["frames"] <= 450:
                path = pathlib.Path(self.wanted["save"], f"{identity}-{seen['frames']:05}.pgm")
                path.write_bytes(b"P5 %d %d 255\n" % (frame.width, frame.height) + luma.tobytes())

    async def tell_of_decoder(self, identity):
        told = {"pictures": [0, 0], "energy": 0}
        for kind in ("video", "audio"):
            track = self.tracks.get((identity, kind))
            for one in await track.get_stats() if track else []:
                if one.WhichOneof("stats") != "inbound_rtp":
                    continue
                seen = one.inbound_rtp.inbound
                if kind == "video":
                    told["pictures"] = [seen.frames_received, seen.frames_decoded]
                else:
                    told["energy"] = seen.total_audio_energy
        say("decoder", identity=identity, **told)

    async def read(self, reader, identity):
        say("chat", identity=identity, text=await reader.read_all())

    async def watch_audio(self, track, identity):
        seen = self.seen.setdefault(identity, {}).setdefault("audio", {"samples": 0, "loud": 0})
        out = open(pathlib.Path(self.wanted["save"], f"{identity}.s16"), "wb") if self.wanted.get("save") else None
        async for event in rtc.AudioStream(track, sample_rate=RATE, num_channels=1):
            samples = np.frombuffer(event.frame.data, dtype=np.int16)
            if seen["loud"] == 0 and np.abs(samples).max(initial=0) > 300:
                say("first_sound", identity=identity)
            seen["samples"] += len(samples)
            seen["loud"] += int((np.abs(samples) > 300).sum())
            if out:
                out.write(samples.tobytes())
                out.flush()

    async def publish_video(self):
        width, height, fps = self.wanted["width"], self.wanted["height"], self.wanted.get("fps", 15)
        size = width * height * 3 // 2
        frames = np.fromfile(self.wanted["picture"], dtype=np.uint8).reshape(-1, size)
        source = rtc.VideoSource(width, height)
        track = rtc.LocalVideoTrack.create_video_track("numbers", source)
        options = rtc.TrackPublishOptions(
            source=rtc.TrackSource.SOURCE_CAMERA,
            simulcast=False,
            video_codec=rtc.VideoCodec.H264 if self.wanted.get("codec") == "h264" else rtc.VideoCodec.VP8,
            video_encoding=rtc.VideoEncoding(max_bitrate=1_500_000, max_framerate=fps),
        )
        publication = await self.room.local_participant.publish_track(track, options)
        say("published", kind="video", sid=publication.sid)
        number, due = 0, asyncio.get_running_loop().time()
        while True:
            picture = frames[number % len(frames)].copy()
            draw(picture[: width * height].reshape(height, width), number & 0xFFFF)
            source.capture_frame(rtc.VideoFrame(width, height, rtc.VideoBufferType.I420, picture.tobytes()))
            number += 1
            due += 1 / fps
            await asyncio.sleep(max(0, due - asyncio.get_running_loop().time()))

    async def publish_audio(self):
        samples = np.fromfile(self.wanted["sound"], dtype=np.int16)
        source = rtc.AudioSource(RATE, 1)
        track = rtc.LocalAudioTrack.create_audio_track("voice", source)
        options = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE, dtx=False, red=False)
        publication = await self.room.local_participant.publish_track(track, options)
        say("published", kind="audio", sid=publication.sid)
        at, step = 0, RATE // 100
        while True:
            part = np.take(samples, range(at, at + step), mode="wrap")
            at = (at + step) % len(samples)
            await source.capture_frame(rtc.AudioFrame(part.tobytes(), RATE, 1, step))

    def subscribed(self, track, publication, participant):
        kind = "video" if track.kind == rtc.TrackKind.KIND_VIDEO else "audio"
        say(
            "track",
            identity=participant.identity,
            kind=kind,
            sid=publication.sid,
            mime=publication.mime_type,
            encryption=publication.encryption_type,
        )
        self.tracks[participant.identity, kind] = track
        watch = self.watch_video if kind == "video" else self.watch_audio
        self.spawn(watch(track, participant.identity))

    async def run(self, lines):
        room = self.room
        room.on("track_subscribed", self.subscribed)
        room.on("participant_connected", lambda p: say("participant", identity=p.identity))
        room.on("participant_disconnected", lambda p: say("left", identity=p.identity))
        room.on("e2ee_state_changed", lambda p, state: say("e2ee", identity=p.identity, state=STATES.get(state, str(state))))
        room.register_text_stream_handler(CHAT, lambda reader, identity: self.spawn(self.read(reader, identity)))
        room.on("disconnected", lambda reason: say("disconnected", reason=str(reason)))

        options = rtc.RoomOptions()
        if self.wanted.get("passphrase") is not None:
            # Window 0: a wrong key must not walk a ratchet; tolerance 0: the first bad frame is reported.
            keys = rtc.KeyProviderOptions(
                shared_key=self.wanted["passphrase"].encode(), ratchet_window_size=0, failure_tolerance=0
            )
            options.encryption = rtc.E2EEOptions(key_provider_options=keys)
        await room.connect(self.wanted["url"], self.wanted["token"], options=options)
        say("connected", identity=room.local_participant.identity)
        for participant in room.remote_participants.values():
            say("participant", identity=participant.identity)
        if self.wanted.get("picture"):
            self.spawn(self.publish_video())
        if self.wanted.get("sound"):
            self.spawn(self.publish_audio())
        while True:
            line = (await lines.readline()).decode()
            if not line or line.strip() == "quit":
                break
            word, _, rest = line.strip().partition(" ")
            if word == "report":
                say("report", seen=self.seen)
            elif word == "decoder":
                self.spawn(self.tell_of_decoder(rest))
            elif word == "write":
                await room.local_participant.send_text(rest, topic=CHAT)
        say("report", seen=self.seen)
        for task in list(self.tasks):
            task.cancel()
        await room.disconnect()


async def main():
    lines = asyncio.StreamReader(limit=1 << 20)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    await Peer(json.loads(await lines.readline())).run(lines)


asyncio.run(main())
