package diagnose

import (
	"context"
	"fmt"
	"net"
	"strings"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/media"
)

// play opens an RTSP session and waits for the first key frame.
func (d *diagnosis) play(ctx context.Context, conn net.Conn) bool {
	d.begin()
	first := make(chan *media.Unit, 1)
	playing, cancel := context.WithTimeout(ctx, playTimeout)
	defer cancel()
	session, err := d.Play(playing, conn, func(u *media.Unit) {
		if u.Key && u.Track == u.Epoch.MainTrack() {
			select {
			case first <- u:
			default: // it is not the first one
			}
		}
	})
	if err != nil {
		return d.failed(playing, failure.RTSP, err)
	}
	d.passed(failure.RTSP, "the camera plays "+tracks(session.Epoch()), "")
	return d.awaitKeyFrame(ctx, session, first)
}

// awaitKeyFrame waits for a unit, and closes the session.
func (d *diagnosis) awaitKeyFrame(ctx context.Context, session Session, first <-chan *media.Unit) bool {
	var end error // after ended
	ended := make(chan struct{})
	go func() { end = session.Wait(); close(ended) }()
	ctx, cancel := context.WithTimeout(ctx, mediaTimeout)
	defer cancel()
	var err error
	select {
	case u := <-first:
		d.passed(failure.Media, "the first key frame has arrived: "+picture(u), "")
		session.Close()
		<-ended
		return true
	case <-ended:
		session.Close()
		err = end
	case <-ctx.Done():
		session.Close()
		<-ended
		err = failure.New(failure.Media, reason.NoKeyFrame, nil)
	}
	return d.failed(ctx, failure.Media, err)
}

// tracks names the tracks of a session.
func tracks(e *media.Epoch) string {
	var names []string
	for _, t := range e.Tracks {
		names = append(names, string(t.Codec))
	}
	return strings.Join(names, " and ")
}

// picture describes the unit's track, and its size in bytes.
func picture(u *media.Unit) string {
	t := u.Epoch.Tracks[u.Track]
	text := string(t.Codec)
	if t.Width > 0 {
		text += fmt.Sprintf(" %dx%d", t.Width, t.Height)
	}
	return fmt.Sprintf("%s, %d bytes", text, u.Size())
}
