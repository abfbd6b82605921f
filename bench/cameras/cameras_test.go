package cameras_test

import (
	"context"
	"io"
	"net"
	"testing"
	"time"

	"go.uber.org/goleak"

	"rtsptunnel/bench/cameras"
	"rtsptunnel/bench/players"
	"rtsptunnel/internal/testkit/rtsptest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve starts cameras, which end with the test.
func serve(t *testing.T) (address string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- cameras.Serve(ctx, ln) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return ln.Addr().String()
}

// A camera begins with a key frame, sends the bits of its kind, and numbers its pictures.
func TestServe_pictures(t *testing.T) {
	t.Parallel()
	address := serve(t)
	for name, kind := range cameras.Kinds() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			p, err := players.Play(ctx, address, "/"+name+"/7", players.Login{})
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			bytes := 0
			for n := range kind.Group + 1 {
				got, err := p.Next()
				if err != nil {
					t.Fatal(err)
				}
				if got.Key != (n%kind.Group == 0) || !got.Marked || got.Number != uint32(n) || got.Arrived.Before(got.Sent) {
					t.Fatalf("picture %d: %+v", n, got)
				}
				if n < kind.Group {
					bytes += got.Bytes
				}
			}
			bits := bytes * 8 * kind.Rate / kind.Group
			if bits < kind.BitsPerSecond*95/100 || bits > kind.BitsPerSecond*110/100 {
				t.Errorf("%d bit/s, want about %d", bits, kind.BitsPerSecond)
			}
		})
	}
}

// gortsplib, which stands in the gateway and in the baseline, plays the pictures without a
// lost or damaged packet.
func TestServe_gortsplib(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	pulled, err := rtsptest.Pull(ctx, "rtsp://"+serve(t)+"/hd/1", 60)
	if err != nil || pulled.Skipped != 0 {
		t.Errorf("%d frames, %d skipped, %v", pulled.Frames, pulled.Skipped, err)
	}
}

func TestServe_unknownKind(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if p, err := players.Play(ctx, serve(t), "/8k/1", players.Login{}); err == nil {
		p.Close()
		t.Error("a kind that does not exist is served")
	}
}

// The process ends with its standard input.
func TestMain_endsWithItsInput(t *testing.T) {
	t.Parallel()
	in, input := io.Pipe()
	out, output := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- cameras.Main(t.Context(), in, output) }()
	address := make([]byte, 64)
	n, err := out.Read(address)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := net.SplitHostPort(string(address[:n-1])); err != nil {
		t.Errorf("address %q: %v", address[:n], err)
	}
	_ = input.Close()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
