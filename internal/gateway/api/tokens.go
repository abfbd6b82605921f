package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/access"
	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/name"
)

const (
	tokenFor    = time.Hour
	maxTokenFor = 24 * time.Hour
)

// minted is the answer to POST /api/tokens.
type minted struct {
	Token   string            `json:"token"`
	Expires *time.Time        `json:"expires"`
	Links   map[string]string `json:"links"`
}

// mintToken answers POST /api/tokens {camera, seconds?}: a content token of one camera that the
// principal may watch, and the outputs' URLs with it.
func (a *API) mintToken(w http.ResponseWriter, r *http.Request, p access.Principal) error {
	var body struct {
		Camera  string
		Seconds int64
	}
	if err := decode(w, r, &body, "camera and seconds"); err != nil {
		return err
	}
	lifetime, err := lifetimeOf(body.Seconds, tokenFor, maxTokenFor)
	if err != nil {
		return err
	}
	c, s, err := a.streamOf(body.Camera, p)
	if err != nil {
		return err
	}
	token, expires, err := a.Access.MintContent(p, c.Name, lifetime)
	if err != nil {
		return err
	}
	return created(w, minted{token, timestamp(expires), a.links(a.Browser.Base(r), c.Name, s, token)})
}

// streamOf returns the camera and the stream with a decoded name, if the principal may watch
// it: the default stream, if the name has none.
func (a *API) streamOf(decoded string, p access.Principal) (Camera, Stream, error) {
	if _, _, _, err := name.Split(decoded); err != nil {
		return Camera{}, Stream{}, err
	}
	c, asked, err := a.findDecoded(decoded, p, access.Watch)
	if err != nil {
		return Camera{}, Stream{}, err
	}
	i := slices.IndexFunc(c.Streams, func(s Stream) bool { return s.Name == asked || asked == "" && s.Default })
	if i < 0 {
		return Camera{}, Stream{}, failure.New(failure.Viewer, reason.CameraUnknown, nil)
	}
	return c, c.Streams[i], nil
}

// created answers with a new thing.
func created(w http.ResponseWriter, body any) error {
	b, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("encode the answer: %w", err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	_, _ = w.Write(append(b, '\n')) // a client that left needs no answer
	return nil
}
