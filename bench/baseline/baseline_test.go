package baseline_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"rtsptunnel/bench/baseline"
	"rtsptunnel/bench/ends"
	"rtsptunnel/internal/base/localca"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// relay is a baseline between two ends.
type relay struct {
	ends     *ends.Ends
	commands io.WriteCloser
	ended    chan error
}

func start(t *testing.T, name string, kind ends.Kind) *relay {
	t.Helper()
	ca, err := localca.New("test")
	if err != nil {
		t.Fatal(err)
	}
	cert, err := ca.Issue("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, ca.CertPEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	e, err := ends.Start(t.Context(), kind, cert)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	lines, commands := io.Pipe()
	r := &relay{ends: e, commands: commands, ended: make(chan error, 1)}
	ctx := context.WithoutCancel(t.Context())
	go func() {
		r.ended <- baseline.Main(ctx, []string{name, e.CameraAddr(), e.CloudAddr(), file}, lines, io.Discard)
	}()
	t.Cleanup(func() { _ = commands.Close() })
	return r
}

func (r *relay) open(t *testing.T) ends.Tunnel {
	t.Helper()
	if _, err := r.commands.Write([]byte("open\n")); err != nil {
		t.Fatal(err)
	}
	select {
	case tunnel := <-r.ends.Ready():
		return tunnel
	case err := <-r.ended:
		t.Fatalf("the baseline ended: %v", err)
	}
	return ends.Tunnel{}
}

var kinds = map[string]ends.Kind{baseline.Raw: ends.TCP, baseline.TLSRaw: ends.TLS, baseline.Gorilla: ends.WebSocket}

func TestMain_carriesBothWays(t *testing.T) {
	t.Parallel()
	for name, kind := range kinds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := start(t, name, kind)
			var passing sync.WaitGroup
			for range 3 {
				tunnel := r.open(t)
				passing.Go(func() { transfer(t, tunnel.Camera, tunnel.Cloud) })
				passing.Go(func() { transfer(t, tunnel.Cloud, tunnel.Camera) })
			}
			passing.Wait()
		})
	}
}

// transfer sends 1 MiB and expects it at the other end.
func transfer(t *testing.T, from io.Writer, to io.Reader) {
	t.Helper()
	sent, got := make([]byte, 1<<20), make([]byte, 1<<20)
	_, _ = rand.Read(sent)
	var writing sync.WaitGroup
	writing.Go(func() { _, _ = from.Write(sent) })
	if _, err := io.ReadFull(to, got); err != nil {
		t.Error(err)
	}
	writing.Wait()
	if !bytes.Equal(sent, got) {
		t.Error("the bytes that arrived differ from those that were sent")
	}
}

// A tunnel ends when one side closes, and the process ends with its commands: no
// connection and no goroutine may be left.
func TestMain_ends(t *testing.T) {
	t.Parallel()
	for name, kind := range kinds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := start(t, name, kind)
			first, second := r.open(t), r.open(t)
			_ = first.Camera.Close()
			if _, err := first.Cloud.Read(make([]byte, 1)); err == nil {
				t.Error("the cloud's connection is open after the camera has closed")
			}
			_ = r.commands.Close()
			if err := <-r.ended; err != nil {
				t.Error(err)
			}
			if _, err := second.Cloud.Read(make([]byte, 1)); err == nil {
				t.Error("a tunnel is open after the commands have ended")
			}
		})
	}
}

func TestMain_refuses(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{nil, {"raw", "a", "b"}, {"unknown", "a", "b", os.DevNull}, {"raw", "a", "b", "/nowhere"}} {
		if err := baseline.Main(t.Context(), args, nil, io.Discard); err == nil {
			t.Errorf("%q is accepted", args)
		}
	}
}
