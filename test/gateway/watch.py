#!/usr/bin/env python3
"""A player by GStreamer's rtspsrc, for .ci/gateway.

    watch.py URL FRAMES [SECONDS]

plays the URL over TCP and decodes each stream. It ends when it has FRAMES pictures, and, if
there is sound, 10 buffers of that. A message of error or warning, a buffer that the decoder
marks as damaged, and an end before that are faults, and so is more than SECONDS (30). It
prints the caps of what it decoded. Exit code 0 if all is well, otherwise 1.
"""
import sys

import gi

gi.require_version("Gst", "1.0")
from gi.repository import GLib, Gst  # noqa: E402


class Player:
    def __init__(self, url, frames):
        self.frames, self.counts, self.caps, self.fault = frames, {}, {}, None
        self.loop = GLib.MainLoop()
        self.pipeline = Gst.Pipeline()
        source = Gst.ElementFactory.make("rtspsrc")
        source.set_property("location", url)
        source.set_property("protocols", "tcp")
        source.set_property("latency", 200)
        self.pipeline.add(source)
        source.connect("pad-added", self.stream)
        bus = self.pipeline.get_bus()
        bus.add_signal_watch()
        bus.connect("message", self.message)

    def stream(self, _, pad):
        decoder = Gst.ElementFactory.make("decodebin")
        self.pipeline.add(decoder)
        decoder.connect("pad-added", self.decoded)
        decoder.sync_state_with_parent()
        pad.link(decoder.get_static_pad("sink"))

    def decoded(self, _, pad):
        caps = pad.get_current_caps().get_structure(0)
        kind = caps.get_name()
        size = [str(caps.get_value(key)) for key in ("width", "height") if caps.has_field(key)]
        self.caps[kind] = " ".join([kind, "x".join(size)]).strip()
        self.counts[kind] = 0
        sink = Gst.ElementFactory.make("fakesink")
        sink.set_property("sync", False)
        sink.set_property("signal-handoffs", True)
        sink.connect("handoff", self.buffer, kind)
        self.pipeline.add(sink)
        sink.sync_state_with_parent()
        pad.link(sink.get_static_pad("sink"))

    def buffer(self, _, buffer, __, kind):
        if buffer.has_flags(Gst.BufferFlags.CORRUPTED):
            self.end(f"{kind}: buffer {self.counts[kind]} is damaged")
        self.counts[kind] += 1
        enough = {"video/x-raw": self.frames, "audio/x-raw": 10}
        if "video/x-raw" in self.counts and all(count >= enough[kind] for kind, count in self.counts.items()):
            self.end(None)

    def message(self, _, message):
        if message.type in (Gst.MessageType.ERROR, Gst.MessageType.WARNING):
            parse = message.parse_error if message.type == Gst.MessageType.ERROR else message.parse_warning
            self.end(" ".join(str(part) for part in parse()))
        elif message.type == Gst.MessageType.EOS:
            self.end("the stream ended")

    def end(self, fault):
        self.fault = self.fault or fault
        GLib.idle_add(self.loop.quit)

    def play(self, seconds):
        GLib.timeout_add_seconds(seconds, self.end, f"not done after {seconds} s")
        self.pipeline.set_state(Gst.State.PLAYING)
        self.loop.run()
        self.pipeline.set_state(Gst.State.NULL)


def main():
    Gst.init(None)
    player = Player(sys.argv[1], int(sys.argv[2]))
    player.play(int(sys.argv[3]) if len(sys.argv) > 3 else 30)
    print(*player.caps.values(), *player.counts.values(), sep=", ")
    if player.fault:
        sys.exit(player.fault)


main()
