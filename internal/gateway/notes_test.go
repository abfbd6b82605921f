package gateway_test

import (
	"net/http"
	"strings"
	"testing"

	"rtsptunnel/internal/testkit/rtsptest"
)

// What an operator should know of a ready gateway is in /readyz and in the log.
func TestNotes(t *testing.T) {
	s := startSite(t)
	s.discovered(t)
	camera := startCamera(t, rtsptest.Options{})
	s.write(t, s.configuration(t, "publicURL: https://"+s.public+"/site\nhubs: { main: { connectionStringFile: pass, caFile: '"+s.hub.CAFile()+"', discover: true } }\n"))
	s.reload <- struct{}{}
	s.log.AwaitFields(t, 1, "message=configuration is invalid: the last valid one stays in force")
	if _, body := s.get(t, "/readyz"); !strings.Contains(body, "hubs.main: ") || strings.Contains(body, password) {
		t.Errorf("an unusable connection string: %s", body)
	}
	s.hub.Stop(t)
	s.replace(t, s.configuration(t, "publicURL: https://"+s.public+"/site\nhubs: { main: { connectionStringFile: '"+s.hubFile+"', caFile: '"+s.hub.CAFile()+
		"', discover: true } }\ncameras: { edge1/none: { title: x }, lab/new: { url: '"+camera.URL()+"' } }\n"))
	s.log.AwaitFields(t, 1, "message=camera is not as configured", "camera=edge1/none")
	s.log.AwaitFields(t, 1, "hub=main", "reason=HUB_REFUSED")
	s.reload <- struct{}{} // a turn of the loop
	s.reload <- struct{}{}
	status, body := s.get(t, "/readyz")
	for _, want := range []string{`"part":"hubs","reason":"HUB_REFUSED"`, `"part":"cameras"`, "edge1/none is in the file", "changes of listen are in force after a restart"} {
		if !strings.Contains(body, want) || status != http.StatusOK {
			t.Errorf("%d, no %q in %s", status, want, body)
		}
	}
}
