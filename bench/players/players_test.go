package players_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
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

func TestPlay_login(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	camera, err := rtsptest.Start(rtsptest.Options{User: "viewer", Password: "example-only"})
	if err != nil {
		t.Fatal(err)
	}
	defer camera.Close()
	// The camera asks for Digest, which this player does not have.
	if p, err := players.Play(ctx, camera.Addr(), "/front", players.Login{User: "viewer", Password: "example-only"}); err == nil {
		p.Close()
		t.Error("Basic is accepted")
	}
}

// A crowd counts what its players get between begin and end.
func TestMain_counts(t *testing.T) {
	t.Parallel()
	c := start(t, plan(serve(t), "/hd/1", "/hd/2", "/low/3"))
	var started players.Started
	c.read(t, &started)
	if started.Playing != 3 || started.Error != "" {
		t.Fatalf("started %+v", started)
	}
	c.write(t, "begin")
	wait(t, time.Second)
	c.write(t, "end")
	var got players.Counted
	c.read(t, &got)
	// In one second, two cameras send 25 pictures and one sends 5.
	if got.Playing != 3 || got.Pictures < 30 || got.Least < 3 || got.Missing != 0 || got.Bytes < 500_000 || !(got.P50 > 0 && got.P99 >= got.P50 && got.Max >= got.P99) {
		t.Errorf("counted %+v", got)
	}
	c.end(t)
}

func TestMain_playerFails(t *testing.T) {
	t.Parallel()
	c := start(t, plan(serve(t), "/hd/1", "/none/2"))
	var started players.Started
	c.read(t, &started)
	if want := "DESCRIBE: status 404 "; started.Playing != 1 || started.Error != want {
		t.Errorf("started %+v, want 1 and %q", started, want)
	}
	c.end(t)
}

func plan(address string, paths ...string) players.Plan {
	return players.Plan{Address: address, Paths: paths, Opening: 2, Within: 60}
}

func wait(t *testing.T, d time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	<-ctx.Done()
}

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

// crowd is players.Main with its pipes.
type crowd struct {
	commands io.WriteCloser
	answers  *bufio.Scanner
	ended    chan error
}

func start(t *testing.T, p players.Plan) *crowd {
	t.Helper()
	in, commands := io.Pipe()
	answers, out := io.Pipe()
	c := &crowd{commands: commands, answers: bufio.NewScanner(answers), ended: make(chan error, 1)}
	ctx := context.WithoutCancel(t.Context())
	go func() { c.ended <- players.Main(ctx, in, out) }()
	text, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	c.write(t, string(text))
	return c
}

func (c *crowd) write(t *testing.T, line string) {
	t.Helper()
	if _, err := fmt.Fprintln(c.commands, line); err != nil {
		t.Fatal(err)
	}
}

func (c *crowd) read(t *testing.T, answer any) {
	t.Helper()
	if !c.answers.Scan() {
		t.Fatalf("no answer: %v", c.answers.Err())
	}
	if err := json.Unmarshal(c.answers.Bytes(), answer); err != nil {
		t.Fatal(err)
	}
}

func (c *crowd) end(t *testing.T) {
	t.Helper()
	_ = c.commands.Close()
	if err := <-c.ended; err != nil {
		t.Error(err)
	}
}
