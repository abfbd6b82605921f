package logqueue_test

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"rtsptunnel/internal/base/logqueue"
	"rtsptunnel/internal/testkit/logtest"
)

// A line larger than the queue is reported as dropped, also if no other line follows.
func TestQueue_lineIsTooLarge(t *testing.T) {
	out := logtest.New()
	q := logqueue.New(out)
	q.OnDrop(func(dropped int) []byte { return fmt.Appendf(nil, "%d dropped\n", dropped) })
	_, _ = io.WriteString(q, strings.Repeat("x", 300<<10)+"\n")
	out.Await(t, "1 dropped", 1)
	_, _ = io.WriteString(q, "afterwards\n")
	q.Close(patience)
	if got := out.String(); got != "1 dropped\nafterwards\n" {
		t.Errorf("%.100q", got)
	}
}
