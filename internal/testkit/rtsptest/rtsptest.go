// Package rtsptest is an RTSP camera for tests and the demo, as
// net/http/httptest is an HTTP server for tests, and a small client that pulls
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
// Binary Data"). A SETUP for UDP is answered with 461: a tunnel for one TCP
// connection cannot carry it. There is no sound, no PAUSE and no TLS.
//
// It shows one of two clips, "front" and "yard": 20 s of a moving test picture
// with the camera's name and a running frame number, 640x360, 25 frames a
// second, a key frame every second, constrained baseline, no B frames, with
// access unit delimiters and with SPS and PPS before each key frame. The
// script clips/make.sh holds the ffmpeg command that made them.
//
// The package imports nothing else of this module.
package rtsptest
