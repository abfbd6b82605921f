package source

import (
	"errors"
	"fmt"
	"strings"

	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/bluenviron/gortsplib/v5/pkg/description"
	"github.com/bluenviron/gortsplib/v5/pkg/sdpunmarshaler"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/media"
)

// maxMedias is how many media of a description are looked at: back channels, metadata and
// tracks of other codecs come on top of those that are played.
const maxMedias = 4 * media.MaxTracks

// tame changes the answer to DESCRIBE before the library reads it. The library refuses a
// whole description for one media that it cannot parse, and panics for some (in v5.6.5,
// MP4A-LATM with a layer that has no config of its own): those are left out.
func (s *Session) tame(res *base.Response) {
	kind := res.Header["Content-Type"]
	if res.StatusCode != base.StatusOK || len(kind) != 1 || !strings.HasPrefix(kind[0], "application/sdp") {
		return // not the answer to DESCRIBE; those to keep-alives may have a body, too
	}
	body, err := filter(res.Body)
	if errors.Is(err, errNoMedia) {
		s.decide(failure.New(failure.Media, reason.NoMedia, nil))
	}
	if err != nil {
		body = nil // the library reports a description that is not valid
	}
	res.Body = body
}

// filter returns a description without the media that the library cannot parse. If it can
// parse all, the bytes are those of the camera.
func filter(body []byte) (filtered []byte, err error) {
	defer guard(&err)
	d, err := sdpunmarshaler.Unmarshal(body)
	if err != nil {
		return nil, err
	}
	all := len(d.MediaDescriptions)
	kept := d.MediaDescriptions[:0]
	for _, m := range d.MediaDescriptions {
		if len(kept) == maxMedias {
			break
		}
		parse := func() (err error) {
			defer guard(&err)
			return (&description.Media{}).Unmarshal(m)
		}
		if parse() == nil {
			kept = append(kept, m)
		}
	}
	d.MediaDescriptions = kept
	if len(kept) == 0 {
		return nil, errNoMedia
	}
	if err := (&description.Session{}).Unmarshal2(d); err != nil {
		return nil, err
	}
	if len(kept) == all {
		return body, nil
	}
	return d.Marshal()
}

var (
	errPanic   = errors.New("the library panicked")
	errNoMedia = errors.New("the description has no media that can be parsed")
)

// guard turns a panic into an error. The camera's bytes must not end the process.
func guard(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("%w: %v", errPanic, p)
	}
}
