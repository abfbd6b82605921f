#!/usr/bin/env python3
"""RTSP cameras by gst-rtsp-server, for .ci/gateway.

    cameras.py PORT none|basic|digest

serves every camera of CAMERAS at rtsp://127.0.0.1:PORT/NAME. The login, USER:PASSWORD, is in
the environment variable CAMERA_LOGIN, so that it is in no argument list. Each PLAY and each
end of a connection is a line of standard output, so that the caller can count sessions.
"""
import os
import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402

VIDEO = "videotestsrc is-live=true pattern={pattern} ! video/x-raw,format=I420,width={width},height={height},framerate={rate}/1 ! "
AUDIO = "audiotestsrc is-live=true wave=ticks ! audio/x-raw,rate={rate},channels=1 ! audioconvert ! "

# config-interval is 0 where the parameter sets are in the SDP alone, and -1 where they also
# stand in front of each key frame.
CAMERAS = {
    # B-frames, a key frame every 40 frames, parameter sets in the SDP alone, AAC
    "h264-aac": VIDEO.format(pattern="smpte", width=640, height=360, rate=20)
    + "x264enc speed-preset=ultrafast key-int-max=40 bframes=2 b-adapt=false bitrate=600"
    " ! video/x-h264,profile=main ! rtph264pay name=pay0 pt=96 config-interval=0 "
    + AUDIO.format(rate=44100) + "avenc_aac ! rtpmp4gpay name=pay1 pt=97",
    # no B-frames, G.711 A-law. GStreamer sets the RTP marker on each slice, at which ffmpeg fails
    # without a gateway, too: so one slice a picture.
    "h264-alaw": VIDEO.format(pattern="ball", width=480, height=272, rate=25)
    + "x264enc tune=zerolatency sliced-threads=false speed-preset=ultrafast key-int-max=30 bitrate=400"
    " ! video/x-h264,profile=baseline ! rtph264pay name=pay0 pt=96 config-interval=-1 "
    + AUDIO.format(rate=8000) + "alawenc ! rtppcmapay name=pay1 pt=8",
    # H.265 with G.711 mu-law
    "h265-mulaw": VIDEO.format(pattern="smpte", width=480, height=272, rate=15)
    + "x265enc speed-preset=ultrafast key-int-max=45 bitrate=300"
    " ! rtph265pay name=pay0 pt=96 config-interval=-1 "
    + AUDIO.format(rate=8000) + "mulawenc ! rtppcmupay name=pay1 pt=0",
    # pictures without references to others, and no sound
    "mjpeg": VIDEO.format(pattern="ball", width=320, height=240, rate=10)
    + "jpegenc ! rtpjpegpay name=pay0 pt=26",
}


def say(*words):
    print(*words, flush=True)


def authority(kind):
    """returns the server's RTSPAuth, and the permissions of its cameras."""
    auth = GstRtspServer.RTSPAuth()
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "viewer")
    user, _, password = os.environ["CAMERA_LOGIN"].partition(":")
    if kind == "digest":
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
        auth.add_digest(user, password, token)
    else:
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.BASIC)
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
    permissions = GstRtspServer.RTSPPermissions()
    permissions.add_role("viewer")
    permissions.add_permission_for_role("viewer", "media.factory.access", True)
    permissions.add_permission_for_role("viewer", "media.factory.construct", True)
    return auth, permissions


def connected(_, client):
    client.connect("play-request", lambda _, context: say("PLAY", context.uri.abspath))
    client.connect("closed", lambda _: say("CLOSED"))


def main():
    port, kind = sys.argv[1:]
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(port)
    permissions = None
    if kind != "none":
        auth, permissions = authority(kind)
        server.set_auth(auth)
    for name, launch in CAMERAS.items():
        factory = GstRtspServer.RTSPMediaFactory()
        factory.set_launch("( " + launch + " )")
        factory.set_shared(True)  # one encoder for all sessions: a session begins anywhere in a group of pictures
        if permissions:
            factory.set_permissions(permissions)
        server.get_mount_points().add_factory("/" + name, factory)
    server.connect("client-connected", connected)
    if not server.attach(None):
        sys.exit(f"port {port} is taken")
    say("ready")
    GLib.MainLoop().run()


main()
