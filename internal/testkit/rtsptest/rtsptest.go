// Package rtsptest provides an RTSP camera for tests and the demo, as
// net/http/httptest provides an HTTP server. Pull is a small client that pulls
// frames from any RTSP camera and counts them.
//
//	camera, err := rtsptest.Start(rtsptest.Options{Name: "front"})
//	...
//	defer camera.Close()
//	got, err := rtsptest.Pull(ctx, camera.URL(), 100)
//	...
//	err = got.MatchClip("front") // byte for byte
//
// The camera speaks RTSP 1.0 (RFC 2326) and sends H.264 (RFC 6184) over RTP
// interleaved in the RTSP connection (RFC 2326, 10.12 "Embedded (Interleaved)
// Binary Data"). It answers a SETUP for UDP with 461, because a tunnel for one
// TCP connection cannot carry UDP. There is no PAUSE and no TLS.
//
// The clips "front" and "yard" have 20 s of a moving test picture with the camera's
// name and a frame counter, in 640x360 at 25 frames a second. The profile is
// constrained baseline, without B frames. The clip "attic" has 4 s in 320x180, of the
// main profile, with two B frames after each P frame. All have a key frame every second
// with SPS and PPS before it, and each access unit begins with a delimiter. The script
// clips/make.sh makes the clips with ffmpeg.
//
// Options make a camera worse: they add silent sound, hide parameter sets, limit the
// sessions, and change pictures, timestamps and packets.
//
// The package imports nothing else of this module.
package rtsptest
