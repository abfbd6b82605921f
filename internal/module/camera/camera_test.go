package camera_test

import (
	"context"
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/module/camera"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func listen(t *testing.T) (*net.TCPListener, camera.Camera) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln.(*net.TCPListener), camera.Camera{
		Name: "front", Host: "127.0.0.1", Port: ln.Addr().(*net.TCPAddr).Port, LocalPort: 554,
	}
}

func TestDial_readsAndWrites(t *testing.T) {
	ln, cam := listen(t)
	go func() {
		c, err := ln.Accept()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		_, _ = io.Copy(c, c)
	}()
	c, err := cam.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte("OPTIONS")); err != nil {
		t.Fatal(err)
	}
	if err := c.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(c); string(got) != "OPTIONS" || err != nil {
		t.Errorf("read %q, %v", got, err)
	}
}

func TestDial_refused(t *testing.T) {
	ln, cam := listen(t)
	client, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	cam.Port = client.LocalAddr().(*net.TCPAddr).Port // in use, so that no process can listen there
	if _, err := cam.Dial(t.Context()); reason.Of(err) != reason.CameraRefused {
		t.Errorf("reason %s (%v)", reason.Of(err), err)
	}
}

func TestDial_unknownName(t *testing.T) {
	cam := camera.Camera{Host: "no-such-camera.invalid", Port: 554, LocalPort: 554}
	if _, err := cam.Dial(t.Context()); reason.Of(err) != reason.CameraDNS {
		t.Errorf("reason %s (%v)", reason.Of(err), err)
	}
}

func TestDial_timeout(t *testing.T) {
	_, cam := listen(t)
	ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	if _, err := cam.Dial(ctx); reason.Of(err) != reason.CameraTimeout {
		t.Errorf("reason %s (%v)", reason.Of(err), err)
	}
}

// A reset by the camera is an error, and no end of file.
func TestRead_resetIsNamed(t *testing.T) {
	ln, cam := listen(t)
	c, err := cam.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	far, err := ln.AcceptTCP()
	if err != nil {
		t.Fatal(err)
	}
	if err := far.SetLinger(0); err != nil {
		t.Fatal(err)
	}
	far.Close()
	if _, err := io.Copy(io.Discard, c); reason.Of(err) != reason.CameraLost || errors.Is(err, io.EOF) {
		t.Errorf("read ended with %v", err)
	}
	reader := c.(interface{ ReadError(err error) error }) // for readers of the descriptor
	if err := reader.ReadError(syscall.ECONNRESET); reason.Of(err) != reason.CameraLost || !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("a descriptor's error is named %v", err)
	}
}

func TestTarget(t *testing.T) {
	for host, want := range map[string]string{"10.0.0.21": "10.0.0.21:8554", "cam.local": "cam.local:8554", "fd00::1": "[fd00::1]:8554"} {
		if got := (camera.Camera{Host: host, Port: 554, LocalPort: 8554}).Target(); got != want {
			t.Errorf("Target of %s = %s, want %s", host, got, want)
		}
	}
}

func TestList_findsByLocalPort(t *testing.T) {
	var l camera.List
	if _, ok := l.Find(554); ok {
		t.Error("an empty list found a camera")
	}
	l.Replace([]camera.Camera{{Name: "a", LocalPort: 554, Enabled: true}, {Name: "b", LocalPort: 8554, Port: 554, Enabled: true}, {Name: "off", LocalPort: 1}})
	if c, ok := l.Find(8554); !ok || c.Name != "b" {
		t.Errorf("found %v, %v", c, ok)
	}
	l.Replace([]camera.Camera{{Name: "b", LocalPort: 8554, Enabled: true}})
	if _, ok := l.Find(554); ok {
		t.Error("a removed camera is still found")
	}
}
