package api

import (
	"net/http"
	"time"

	"rtsptunnel/internal/gateway/access"
)

// shareView is a share as the API shows it. Its secret is in the answer to POST alone, and in
// its link: behind "#", where browsers keep it out of requests.
type shareView struct {
	ID      string     `json:"id"`
	Camera  string     `json:"camera"`
	Stream  string     `json:"stream,omitempty"`
	Note    string     `json:"note,omitempty"`
	By      string     `json:"by"`
	Created *time.Time `json:"created"`
	End     *time.Time `json:"end"`
	Secret  string     `json:"secret,omitempty"`
	Link    string     `json:"link,omitempty"`
}

func viewShare(s access.Share) shareView {
	return shareView{ID: s.ID, Camera: s.Camera, Stream: s.Stream, Note: s.Note, By: s.By, Created: timestamp(s.Created), End: timestamp(s.End)}
}

// listShares answers GET /api/shares with the shares that the principal may revoke.
func (a *API) listShares(w http.ResponseWriter, r *http.Request, p access.Principal) error {
	shares, err := a.Access.Shares(p)
	if err != nil {
		return err
	}
	list := struct {
		Shares []shareView `json:"shares"`
	}{make([]shareView, len(shares))}
	for i, s := range shares {
		list.Shares[i] = viewShare(s)
	}
	return answer(w, r, list)
}

// makeShare answers POST /api/shares {camera, end, note?}.
func (a *API) makeShare(w http.ResponseWriter, r *http.Request, p access.Principal) error {
	var body struct {
		Camera string
		End    time.Time
		Note   string
	}
	if err := decode(w, r, &body, "camera, end (RFC 3339) and note"); err != nil {
		return err
	}
	c, s, err := a.streamOf(body.Camera, p)
	if err != nil {
		return err
	}
	n := access.NewShare{Camera: c.Name, End: body.End, Note: body.Note}
	if !s.Default {
		n.Stream = s.Name
	}
	share, secret, err := a.Access.Share(p, n)
	if err != nil {
		return err
	}
	v := viewShare(share)
	v.Secret, v.Link = secret, a.Browser.Base(r)+"/watch#"+secret
	return created(w, v)
}

// revokeShare answers DELETE /api/shares/{id}.
func (a *API) revokeShare(w http.ResponseWriter, r *http.Request, p access.Principal) error {
	if err := a.Access.RevokeShare(p, r.PathValue("id")); err != nil {
		return err
	}
	a.ended()
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// opened is the answer to POST /share.
type opened struct {
	Token   string     `json:"token"`
	Expires *time.Time `json:"expires"`
	Camera  string     `json:"camera"`
	Title   string     `json:"title,omitempty"`
	Stream  string     `json:"stream,omitempty"`
}

// openShare answers POST /share {secret} with a content token of the share's camera. It sets
// no cookie: the client's own login stays.
func (a *API) openShare(w http.ResponseWriter, r *http.Request, _ access.Principal) error {
	const members = "secret"
	var body struct{ Secret string }
	if err := decode(w, r, &body, members); err != nil {
		return err
	}
	if body.Secret == "" {
		return invalid(members)
	}
	token, expires, share, err := a.Access.OpenShare(body.Secret, fromOf(w))
	if err != nil {
		return err
	}
	v := opened{Token: token, Expires: timestamp(expires), Camera: share.Camera, Stream: share.Stream}
	if c, _, err := a.Lookup(share.Camera); err == nil {
		v.Title = c.Title
	}
	return answer(w, r, v)
}
