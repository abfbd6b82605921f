package demo

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
	"unicode"
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

// step writes the result of a step, or an event. Its text may come from strangers: only
// printable characters reach the terminal.
func (p *printer) step(name, result string) {
	p.line("%-15s %s", name, strings.Map(func(c rune) rune {
		if unicode.IsPrint(c) || c == '\n' {
			return c
		}
		return '?'
	}, result))
}

// instructions say how to watch the cameras. Each URL has its own line.
func (d *demo) instructions(page string) string {
	var b strings.Builder
	b.WriteString("\nThe cameras in a browser; the address logs in once, within an hour:\n\n" + page + "\n")
	b.WriteString("\nEach camera can be watched through a tunnel that the module opens from the inside:\n\n")
	for _, c := range d.cameras {
		b.WriteString(d.url(c) + "\n")
	}
	b.WriteString("\nWith a player:\n\n")
	for _, c := range d.cameras {
		b.WriteString("  ffplay -rtsp_transport tcp '" + d.url(c) + "'\n")
	}
	for _, c := range d.cameras {
		b.WriteString("  vlc --rtsp-tcp '" + d.url(c) + "'\n")
	}
	b.WriteString("\nCtrl-C ends everything.\n\n")
	return b.String()
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
