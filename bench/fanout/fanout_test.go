package fanout_test

import (
	"bufio"
	"context"
	"io"
	"testing"
	"time"

	"go.uber.org/goleak"

	"rtsptunnel/bench/fanout"
	"rtsptunnel/internal/testkit/rtsptest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Two readers of the baseline get the camera's pictures unchanged.
func TestMain_republishes(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	camera, err := rtsptest.Start(rtsptest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer camera.Close()
	in, input := io.Pipe()
	out, output := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- fanout.Main([]string{camera.URL()}, in, output) }()
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		pulled, err := rtsptest.Pull(ctx, "rtsp://"+address[:len(address)-1]+"/any", 10)
		if err == nil {
			err = pulled.MatchClip("front")
		}
		if err != nil {
			t.Error(err)
		}
	}
	_ = input.Close()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestMain_refuses(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{nil, {"a", "b"}, {":"}, {"rtsp://127.0.0.1:1/none"}} {
		if err := fanout.Main(args, nil, io.Discard); err == nil {
			t.Errorf("%q is accepted", args)
		}
	}
}
