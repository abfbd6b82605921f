package opener_test

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"rtsptunnel/internal/contract/tunnelopen"
	"rtsptunnel/internal/gateway/opener"
	"rtsptunnel/internal/wire/wsconn"
)

// publish publishes one camera; end stops it and waits.
func publish(t *testing.T, c *cloud) (address string, end func()) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Publish(ctx, ln, c.front) }()
	end = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(end)
	return ln.Addr().String(), end
}

func TestPublish_eachPlayerHasATunnel(t *testing.T) {
	c := newCloud(t)
	far := make(chan *wsconn.Conn, 2)
	c.module = func(r tunnelopen.Request) (int, string) {
		conn, err := c.dial(t, r)
		if err != nil {
			t.Error(err)
		}
		far <- conn
		return 200, `{}`
	}
	address, end := publish(t, c)
	player, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := player.Write([]byte("DESCRIBE")); err != nil {
		t.Fatal(err)
	}
	edge := <-far
	defer edge.Close()
	got := make([]byte, 8)
	if _, err := io.ReadFull(edge, got); err != nil || string(got) != "DESCRIBE" {
		t.Fatalf("the camera's side read %q, %v", got, err)
	}
	if _, err := edge.Write([]byte("200 OK and video")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(player, make([]byte, 6)); err != nil {
		t.Fatal(err)
	}
	// A player that leaves with unread video resets its connection: the module sees an end
	// in order.
	_ = player.(*net.TCPConn).SetLinger(0)
	player.Close()
	if _, err := edge.Read(got); !errors.Is(err, io.EOF) {
		t.Errorf("the camera's side read %v, want EOF", err)
	}
	edge.Close()
	if e := <-c.events; e.Phase != opener.Opened || e.Camera != "front" || e.Took <= 0 {
		t.Errorf("first event %+v", e)
	}
	if e := <-c.events; e.Phase != opener.Closed || e.Up != 16 || e.Down != 8 || e.Err != nil {
		t.Errorf("last event %+v", e)
	}
	end()
}

func TestPublish_closesAClientWithoutATunnel(t *testing.T) {
	c := newCloud(t)
	c.module = func(tunnelopen.Request) (int, string) { return 0, "" }
	address, _ := publish(t, c)
	player, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer player.Close()
	if got, err := io.ReadAll(player); len(got) != 0 || err != nil {
		t.Errorf("read %q, %v", got, err)
	}
	if e := <-c.events; e.Phase != opener.Failed || e.Err == nil {
		t.Errorf("event %+v", e)
	}
}

// failingOnce is a listener whose first Accept fails with a temporary error.
type failingOnce struct {
	net.Listener
	once sync.Once
}

func (s *failingOnce) Accept() (net.Conn, error) {
	var err error
	s.once.Do(func() { err = syscall.EMFILE })
	if err != nil {
		return nil, err
	}
	return s.Listener.Accept()
}

func TestPublish_survivesALackOfDescriptors(t *testing.T) {
	c := newCloud(t)
	c.module = func(tunnelopen.Request) (int, string) { return 0, "" }
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Publish(ctx, &failingOnce{Listener: ln}, c.front) }()
	player, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(player); err != nil {
		t.Error(err)
	}
	player.Close()
	if e := <-c.events; e.Phase != opener.Failed {
		t.Errorf("event %+v", e)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestPublish_endsWithOpenTunnels(t *testing.T) {
	c := newCloud(t)
	far := make(chan *wsconn.Conn, 1)
	c.module = func(r tunnelopen.Request) (int, string) {
		conn, _ := c.dial(t, r)
		far <- conn
		return 200, `{}`
	}
	address, end := publish(t, c)
	player, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer player.Close()
	edge := <-far
	defer edge.Close()
	<-c.events
	begin := time.Now()
	end()
	if took := time.Since(begin); took > 25*time.Second {
		t.Errorf("took %s", took)
	}
	if _, err := edge.Read(make([]byte, 1)); !errors.Is(err, io.EOF) { // Close 1001
		t.Errorf("the camera's side read %v, want EOF", err)
	}
}
