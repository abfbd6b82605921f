package api

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/access"
	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/name"
)

const (
	defaultLimit = 500 // cameras of a list
	maxLimit     = 5000
)

// listCameras answers GET /api/cameras?limit=&after=. The cameras follow the one named by
// after in the order of names; next is the after of the next list.
func (a *API) listCameras(w http.ResponseWriter, r *http.Request, p access.Principal) error {
	limit, err := limitOf(r)
	if err != nil {
		return err
	}
	cameras := a.Cameras()
	if after := r.URL.Query().Get("after"); after != "" {
		i, found := slices.BinarySearchFunc(cameras, after, func(c Camera, n string) int { return strings.Compare(c.Name, n) })
		if found {
			i++
		}
		cameras = cameras[i:]
	}
	viewers := a.viewersByCamera()
	list := cameraList{Cameras: []cameraView{}}
	for _, c := range cameras {
		if p.Grant(access.Watch, c.Name) != nil {
			continue
		}
		if len(list.Cameras) == limit {
			list.Next = list.Cameras[limit-1].Name
			break
		}
		list.Cameras = append(list.Cameras, a.view(c, viewers[c.Name], ""))
	}
	return answer(w, r, list)
}

func limitOf(r *http.Request) (int, error) {
	text := r.URL.Query().Get("limit")
	if text == "" {
		return defaultLimit, nil
	}
	limit, err := strconv.Atoi(text)
	if err != nil || limit < 1 || limit > maxLimit {
		f := failure.New(failure.Viewer, reason.RequestQuery, nil)
		f.Message = "limit is a number from 1 to " + strconv.Itoa(maxLimit)
		return 0, f
	}
	return limit, nil
}

// showCamera answers GET /api/cameras/{camera}. With a stream in the name, the answer has this
// stream alone.
func (a *API) showCamera(w http.ResponseWriter, r *http.Request, p access.Principal) error {
	c, stream, err := a.find(escapedName(r), p, access.Watch)
	if err != nil {
		return err
	}
	if stream != "" {
		other := func(s Stream) bool { return s.Name != stream }
		c.Streams = slices.DeleteFunc(slices.Clone(c.Streams), other)
	}
	return answer(w, r, a.view(c, a.viewersByCamera()[c.Name], a.Browser.Base(r)))
}

// actOnCamera answers POST /api/cameras/{camera}:{action}.
func (a *API) actOnCamera(w http.ResponseWriter, r *http.Request, p access.Principal) error {
	escaped := escapedName(r)
	colon := strings.LastIndexByte(escaped, ':')
	if colon < 0 {
		w.Header().Set("Allow", "GET, HEAD")
		return failure.New(failure.Viewer, reason.RequestMethod, nil)
	}
	action := escaped[colon+1:]
	if action != "diagnose" && action != "close" {
		return failure.New(failure.Viewer, reason.RequestRoute, nil)
	}
	c, stream, err := a.find(escaped[:colon], p, access.Operate)
	if err != nil {
		return err
	}
	if action == "close" {
		a.Close(c.Name, stream)
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	result, err := a.diagnose(r.Context(), c.Name, stream)
	if err != nil {
		return err
	}
	return answer(w, r, result)
}

// escapedName returns what follows /api/cameras/ in the path, percent-encoded as the client
// sent it.
func escapedName(r *http.Request) string {
	rest, found := strings.CutPrefix(r.URL.EscapedPath(), camerasRoute+"/")
	if !found { // the route itself has encoded characters
		return ""
	}
	return rest
}

// find returns the camera with a percent-encoded name, if the principal may do the action with
// it. A name that the principal's rights do not cover is denied whether there is such a camera
// or not, so that a viewer cannot learn which cameras there are.
func (a *API) find(escaped string, p access.Principal, action access.Action) (Camera, string, error) {
	if err := p.May(action); err != nil {
		return Camera{}, "", err
	}
	decoded, err := name.Decode(escaped)
	if err != nil {
		return Camera{}, "", err
	}
	return a.findDecoded(decoded, p, action)
}

// findDecoded is find for a decoded name, of a principal that may do the action at all.
func (a *API) findDecoded(decoded string, p access.Principal, action access.Action) (Camera, string, error) {
	c, stream, err := a.Lookup(decoded)
	if err == nil {
		return c, stream, p.Grant(action, c.Name)
	}
	if denied := p.Grant(action, decoded); denied != nil {
		return Camera{}, "", denied
	}
	return Camera{}, "", err
}

// viewersByCamera returns the numbers of viewers.
func (a *API) viewersByCamera() map[string]int {
	counts := make(map[string]int)
	for _, v := range a.Viewers() {
		counts[v.Camera]++
	}
	return counts
}
