package api

import (
	"cmp"
	"net/http"
	"slices"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/access"
	"rtsptunnel/internal/gateway/failure"
)

// viewerList is the body of GET /api/viewers.
type viewerList struct {
	Viewers []Viewer `json:"viewers"`
}

// listViewers answers GET /api/viewers with the viewers of the cameras that the principal may
// operate, the first one first.
func (a *API) listViewers(w http.ResponseWriter, r *http.Request, p access.Principal) error {
	if err := p.May(access.Operate); err != nil {
		return err
	}
	list := viewerList{Viewers: []Viewer{}}
	for _, v := range a.Viewers() {
		if p.Grant(access.Operate, v.Camera) == nil {
			v.Since = v.Since.UTC()
			list.Viewers = append(list.Viewers, v)
		}
	}
	slices.SortFunc(list.Viewers, func(x, y Viewer) int {
		return cmp.Or(x.Since.Compare(y.Since), cmp.Compare(x.ID, y.ID))
	})
	return answer(w, r, list)
}

// deleteViewer answers DELETE /api/viewers/{id}. A viewer of a camera that the principal may
// not operate is not known to it.
func (a *API) deleteViewer(w http.ResponseWriter, r *http.Request, p access.Principal) error {
	if err := p.May(access.Operate); err != nil {
		return err
	}
	id := r.PathValue("id")
	mine := func(v Viewer) bool { return v.ID == id && p.Grant(access.Operate, v.Camera) == nil }
	if !slices.ContainsFunc(a.Viewers(), mine) || !a.Disconnect(id) {
		return failure.New(failure.Viewer, reason.ViewerUnknown, nil)
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
