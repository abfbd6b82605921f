package logqueue_test

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"rtsptunnel/internal/base/logqueue"
	"rtsptunnel/internal/testkit/logtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 30 * time.Second

// With a reader that keeps up, all lines are written, in the order of each writer.
func TestQueue_keepsAllLines(t *testing.T) {
	out := logtest.New()
	q := logqueue.New(out)
	var writers sync.WaitGroup
	for w := range 4 {
		writers.Go(func() {
			for n := range 200 {
				_, _ = fmt.Fprintf(q, "writer %d line %d\n", w, n)
			}
		})
	}
	writers.Wait()
	q.Close(patience)
	next := [4]int{}
	for line := range strings.Lines(out.String()) {
		var w, n int
		if _, err := fmt.Sscanf(line, "writer %d line %d\n", &w, &n); err != nil || n != next[w] {
			t.Fatalf("%q comes instead of line %d: %v", line, next[w], err)
		}
		next[w]++
	}
	if next != [4]int{200, 200, 200, 200} || q.Dropped() != 0 {
		t.Errorf("%v lines arrived, %d dropped", next, q.Dropped())
	}
}

// A stopped reader blocks neither Write nor Close. The oldest lines are kept; the number of
// dropped ones is written when the reader continues.
func TestQueue_readerStops(t *testing.T) {
	reader, pipe := io.Pipe()
	q := logqueue.New(pipe)
	q.OnDrop(func(dropped int) []byte { return fmt.Appendf(nil, "%d dropped\n", dropped) })
	line := strings.Repeat("x", 1023) + "\n"
	const written = 1000
	for range written {
		_, _ = io.WriteString(q, line)
	}
	dropped := q.Dropped()
	if dropped < written-2*256 || dropped > written-256 { // the goroutine holds some lines
		t.Fatalf("%d of %d lines dropped", dropped, written)
	}
	_, _ = io.WriteString(q, "one more, dropped\n"+line)
	lines := bufio.NewScanner(reader)
	for kept, told := 0, 0; kept+told < written+1; {
		if !lines.Scan() {
			t.Fatalf("%d lines arrived, %d are reported as dropped", kept, told)
		}
		var n int
		if _, err := fmt.Sscanf(lines.Text(), "%d dropped", &n); err == nil {
			told += n
		} else if kept++; lines.Text()+"\n" != line || kept > written-dropped {
			t.Fatalf("%.20q is line %d that arrived", lines.Text(), kept)
		}
	}
	_, _ = io.WriteString(q, "afterwards\n")
	if !lines.Scan() || lines.Text() != "afterwards" {
		t.Errorf("%q follows", lines.Text())
	}
	_, _ = io.WriteString(q, line)
	begin := time.Now()
	q.Close(10 * time.Millisecond)
	if time.Since(begin) > patience {
		t.Error("Close waited for the reader")
	}
	if n, err := io.WriteString(q, line); n != len(line) || err != nil {
		t.Errorf("a write after Close: %d, %v", n, err)
	}
	reader.Close() // lets the goroutine end
}

// A closed reader is not an error.
func TestQueue_readerIsClosed(t *testing.T) {
	reader, pipe := io.Pipe()
	reader.Close()
	q := logqueue.New(pipe)
	for range 1000 {
		_, _ = io.WriteString(q, strings.Repeat("x", 1024))
	}
	q.Close(patience)
}
