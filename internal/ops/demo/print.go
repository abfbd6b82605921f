package demo

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"rtsptunnel/internal/gateway/opener"
)

// printer writes lines with their time.
type printer struct {
	mu    sync.Mutex
	w     io.Writer
	begin time.Time
	onErr func() // called when a write fails, since the reader is gone
}

func newPrinter(w io.Writer, onErr func()) *printer {
	return &printer{w: w, begin: time.Now(), onErr: onErr}
}

// plain writes text without a time.
func (p *printer) plain(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, err := io.WriteString(p.w, text); err != nil {
		p.onErr()
	}
}

// line writes a line with the time of day and the seconds since the start.
func (p *printer) line(format string, a ...any) {
	now := time.Now()
	head := fmt.Sprintf("%s %+7.2fs  ", now.Format("15:04:05.000"), now.Sub(p.begin).Seconds())
	p.plain(head + fmt.Sprintf(format, a...) + "\n")
}

func (p *printer) step(name, result string) { p.line("%-15s %s", name, result) }

// event writes a line about a player's tunnel.
func (p *printer) event(e opener.Event) {
	switch e.Phase {
	case opener.Opened:
		p.step("tunnel opened", fmt.Sprintf("%s for %s in %s", e.Camera, e.Client, milliseconds(e.Took)))
	case opener.Closed:
		text := fmt.Sprintf("%s for %s: %d bytes from the camera, %d to it, %.1f s",
			e.Camera, e.Client, e.Up, e.Down, e.Took.Seconds())
		if e.Err != nil {
			text += fmt.Sprintf(" (%v)", e.Err)
		}
		p.step("tunnel closed", text)
	case opener.Failed:
		p.step("no tunnel", fmt.Sprintf("%s for %s: %v", e.Camera, e.Client, e.Err))
	}
}

// instructions say how to watch the cameras. Each URL has its own line.
func (d *demo) instructions() string {
	var b strings.Builder
	b.WriteString("\nEach camera can be watched through a tunnel that the module opens from the inside:\n\n")
	for _, c := range d.cameras {
		b.WriteString(c.url() + "\n")
	}
	b.WriteString("\nWith a player:\n\n")
	for _, c := range d.cameras {
		b.WriteString("  ffplay -rtsp_transport tcp " + c.url() + "\n")
	}
	for _, c := range d.cameras {
		b.WriteString("  vlc --rtsp-tcp " + c.url() + "\n")
	}
	b.WriteString("\nCtrl-C ends everything.\n\n")
	return b.String()
}

func milliseconds(d time.Duration) string { return fmt.Sprintf("%.1f ms", millis(d)) }

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
