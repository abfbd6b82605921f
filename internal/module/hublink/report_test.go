package hublink_test

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"rtsptunnel/internal/module/hubconn"
	"rtsptunnel/internal/module/hublink"
)

// A report that the hub refuses for good is not sent again; the next one is sent, and the
// same one on another connection.
func TestReport_refusedForGood(t *testing.T) {
	s := newSite(t)
	h := newFakeHub(t, s, twinDoc(1, ""))
	c := s.start(t, func(ts *hublink.Times) { quick(ts); ts.Report = 1 }) // a second attempt would come within 20 ms
	awaitState(t, s, c, "subscribed", ready)
	for n, status := range []int{400, 413} {
		h.refuse(status)
		_, before := h.seen()
		h.desire(twinDoc(2+n, ""))
		await(t, "a report", func() bool { _, now := h.seen(); return len(now) > len(before) })
		s.log.Await(t, `"reason":"HUB_REPORT"`, n+1)
	}
	reads, before := h.seen()
	h.desire(twinDoc(3, `"a":1,`)) // another twin, and the same report
	await(t, "a read", func() bool { n, _ := h.seen(); return n > reads })
	h.desire(twinDoc(3, `"a":2,`)) // this read comes after the effects of the other one
	await(t, "another", func() bool { n, _ := h.seen(); return n > reads+1 })
	if _, now := h.seen(); len(now) != len(before) {
		t.Errorf("sent again: %v", now[len(before):])
	}
	h.refuse(204)
	h.cut()
	await(t, "a report after the reconnect", func() bool { _, now := h.seen(); return len(now) > len(before) })
	if got := c.State(); got.Attempts > 2 {
		t.Errorf("%+v", got)
	}
}

// After Refresh the handler soon gets the twin as it was. However often Refresh is called,
// reads and reports keep their pace.
func TestRefresh(t *testing.T) {
	s := newSite(t)
	h := newFakeHub(t, s, twinDoc(7, ""))
	c := s.start(t, func(ts *hublink.Times) { quick(ts); ts.Read = time.Second })
	awaitState(t, s, c, "subscribed", ready)
	s.await(t, 7)
	await(t, "a report", func() bool { _, reported := h.seen(); return len(reported) > 0 })
	reads, before := h.seen()
	begin := time.Now()
	for range 100_000 {
		c.Refresh()
	}
	s.await(t, 7)
	h.desire(twinDoc(8, ""))
	s.await(t, 8)
	now, reported := h.seen()
	if seconds := int(time.Since(begin) / time.Second); now > reads+2+seconds {
		t.Errorf("%d reads in %d s", now-reads, seconds)
	}
	if len(reported) > len(before)+1 {
		t.Errorf("reported %v, though only the last is new to the hub", reported[len(before):])
	}
}

// A twin that stays stale for months causes a line now and then.
func TestTwin_staleIsFolded(t *testing.T) {
	s := newSite(t)
	h := newFakeHub(t, s, twinDoc(5, `"a":1,`))
	c := s.start(t, func(ts *hublink.Times) { quick(ts); ts.Confirm = 10 * time.Millisecond })
	s.await(t, 5)
	awaitState(t, s, c, "subscribed", ready)
	reads, _ := h.seen()
	h.desire(twinDoc(5, ""))
	s.log.Await(t, `"times":32,`, 1)
	if n := strings.Count(s.log.String(), `"level":"warn","reason":"HUB_TWIN_OLD"`); n < 6 || n > 8 {
		now, _ := h.seen()
		t.Errorf("%d lines of %d reads", n, now-reads)
	}
}

// Messages that cannot be parsed do not end the connection, and cause few lines.
func TestLog_ofGarbageIsShort(t *testing.T) {
	s := newSite(t)
	h := newFakeHub(t, s, twinDoc(1, ""))
	c := s.start(t, quick)
	awaitState(t, s, c, "subscribed", ready)
	for range 200 {
		h.publish("$iothub/methods/POST/"+strings.Repeat("x", 10_000)+"%zz/$rid=1", "{}")
		h.publish("$iothub/methods/POST/x", "{}")
		h.publish("$iothub/twin/res/200/?$rid=77", "{}")
	}
	h.publish("$iothub/methods/POST/x/?$rid=last", "{}")
	if got := <-h.answers; got.topic != "$iothub/methods/res/299/?$rid=last" {
		t.Error(got)
	}
	if n := strings.Count(s.log.String(), "mqtt: "); n == 0 || n > 5 || len(s.log.String()) > 20_000 {
		t.Errorf("%d lines, %d bytes in all", n, len(s.log.String()))
	}
	if got := c.State(); got.Attempts != 1 {
		t.Errorf("%+v", got)
	}
}

// An unknown server at the hub's address causes short lines, too.
func TestLog_ofStrangersIsShort(t *testing.T) {
	s := newSite(t)
	s.replaceHub(t, hubconn.MQTTWS, func(conn net.Conn) {
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\n"+strings.Repeat("x", 50_000)+"\r\n\r\n")
		_, _ = io.Copy(io.Discard, conn)
	})
	s.start(t, quick)
	s.log.Await(t, "xxxx", 1)
	s.log.Await(t, `"reason":"HUB_BAD_UPGRADE"`, 2)
	for line := range strings.Lines(s.log.String()) {
		if len(line) > 2_000 {
			t.Errorf("a line of %d bytes: %.200s", len(line), line)
		}
	}
}

// The log asks for a second client with the same identity after sessions that ended early,
// and not after refused connections.
func TestLog_secondClientIsAskedFor(t *testing.T) {
	s := newSite(t)
	s.o.Conn.Identity.Auth = s.key(t)
	c := s.start(t, quick)
	for n := range 4 {
		awaitState(t, s, c, "subscribed", func(s hublink.State) bool { return s.Subscribed && s.Reconnects == n })
		s.Drop(s.ID.Device, s.ID.Module)
		s.log.Await(t, "HUB_LOST", 2*n+1) // a line has it twice
	}
	s.log.Await(t, "is there another client", 1)
	s.Stop(t)
	s.log.Await(t, `"reason":"HUB_REFUSED"`, 2)
	for line := range strings.Lines(s.log.String()) {
		if strings.Contains(line, "is there another client") && strings.Contains(line, "HUB_REFUSED") {
			t.Errorf("asked without a listener: %s", line)
		}
	}
}
