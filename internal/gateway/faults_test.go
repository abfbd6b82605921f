package gateway_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"rtsptunnel/internal/testkit/rtsptest"
)

// serve runs a camera that is none: handle gets each connection, which ends with the test.
func serve(t *testing.T, handle func(net.Conn)) (url string) {
	t.Helper()
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			running.Go(func() { defer conn.Close(); handle(conn) })
		}
	})
	t.Cleanup(func() { _ = ln.Close(); running.Wait() })
	return "rtsp://" + ln.Addr().String() + "/front"
}

// silent reads until the peer ends the connection, and answers nothing.
func silent(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }

// Each camera that fails is a plain reason in the answer and in the log. A viewer of another camera gets every picture meanwhile.
func TestCameraFaults(t *testing.T) {
	t.Parallel()
	answer := func(text string) func(net.Conn) {
		return func(conn net.Conn) {
			if _, err := bufio.NewReader(conn).ReadString('\n'); err == nil {
				_, _ = io.WriteString(conn, text)
				silent(conn)
			}
		}
	}
	cameras := map[string]struct{ url, status, why string }{
		"garbage": {serve(t, answer(strings.Repeat("\x00\xffgarbage", 10_000))), "503", "rtsp; RTSP_PROTOCOL; "},
		"http":    {serve(t, answer("HTTP/1.1 400 Bad Request\r\n\r\n")), "503", "rtsp; RTSP_PROTOCOL; "},
		"cut":     {serve(t, func(net.Conn) {}), "503", "camera; CAM_"},
		"silent":  {serve(t, silent), "503", "rtsp; RTSP_TIMEOUT; "},
		"refused": {"rtsp://127.0.0.1:1/front", "503", "camera; CAM_REFUSED; "},
		"login":   {startCamera(t, rtsptest.Options{User: "root", Password: "other"}).URL(), "503", "rtsp; RTSP_AUTH; "},
		"path":    {"rtsp://" + startCamera(t, rtsptest.Options{}).Addr() + "/nothing", "503", "rtsp; RTSP_NOT_FOUND; "},
		"busy":    {serve(t, answer("RTSP/1.0 453 Not Enough Bandwidth\r\nCSeq: 1\r\n\r\n")), "503", "rtsp; RTSP_BUSY; "},
		"nokey":   {startCamera(t, rtsptest.Options{Change: rtsptest.NoKeyFrames()}).URL(), "503", "media; NO_KEY_FRAME; "},
	}
	sections := "live: { keyFrame: 3s }\ncredentials: { c: { username: root, passwordFile: pass } }\ncameras:\n  lab/good: { url: '" + startCamera(t, rtsptest.Options{}).URL() + "' }\n"
	for name, c := range cameras {
		sections += "  lab/" + name + ": { url: '" + c.url + "', credentials: c }\n"
	}
	r := start(t, sections)

	good := make(chan error, 1)
	go func() {
		got, err := rtsptest.Pull(within(t, time.Minute), r.url(t, "lab/good", "ops", r.admin), 350) // 14 s
		if err == nil {
			err = got.MatchClip("front")
		}
		good <- err
	}()
	var asking sync.WaitGroup
	for name, c := range cameras {
		asking.Go(func() {
			status, why := r.describe(t, "lab/"+name)
			if !strings.HasPrefix(status, c.status) || !strings.HasPrefix(why, c.why) {
				t.Errorf("%s: %s, %s; want %s, %s", name, status, why, c.status, c.why)
				return
			}
			r.log.AwaitFields(t, 1, "stream=lab/"+name+"/main", "message=stream not opened", "reason="+strings.Split(why, "; ")[1])
		})
	}
	asking.Wait()
	if err := <-good; err != nil {
		t.Errorf("a viewer of another camera: %v", err)
	}
}

// A viewer that waits for a camera gets it from its new address if that changes meanwhile.
func TestReload_whileOpening(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{}, 10)
	old := serve(t, func(conn net.Conn) { asked <- struct{}{}; silent(conn) })
	r := start(t, "cameras: { lab/front: { url: '"+old+"' } }\n")
	pulled := make(chan error, 1)
	go func() {
		_, err := rtsptest.Pull(within(t, time.Minute), r.url(t, "lab/front", "wall", r.wall), 10)
		pulled <- err
	}()
	<-asked
	camera := startCamera(t, rtsptest.Options{})
	r.replace(t, r.configuration(t, "cameras: { lab/front: { url: '"+camera.URL()+"' } }\n"))
	if err := <-pulled; err != nil {
		t.Errorf("the camera's new address was not tried: %v", err)
	}
	if n := r.log.CountFields(t, "message=stream not opened"); n != 0 {
		t.Errorf("%d openings failed", n)
	}
}

// Many viewers of as many cameras open in turn, beside cameras that never answer and are
// asked for again and again.
func TestOpenings_manyCameras(t *testing.T) {
	t.Parallel()
	camera := startCamera(t, rtsptest.Options{})
	dead := serve(t, silent)
	const many, hanging = 60, 60
	sections, names := "live: { opening: 20s }\ncameras:\n", make([]string, many)
	for i := range names {
		names[i] = fmt.Sprintf("lab/c%d", i)
		sections += "  " + names[i] + ": { url: '" + camera.URL() + "' }\n"
	}
	for i := range hanging {
		sections += fmt.Sprintf("  lab/dead%d: { url: '%s', keepOpen: true }\n", i, dead)
	}
	r := start(t, sections)
	r.log.AwaitFields(t, hanging, "message=stream not opened")
	var viewers sync.WaitGroup
	for _, name := range names {
		viewers.Go(func() {
			if _, err := rtsptest.Pull(within(t, time.Minute), r.url(t, name, "ops", r.admin), 1); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	viewers.Wait()
}
