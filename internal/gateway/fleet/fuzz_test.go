package fleet_test

import (
	"testing"

	"rtsptunnel/internal/gateway/fleet"
	"rtsptunnel/internal/gateway/name"
)

// Whatever devices write into twins, one read after the other, each camera that comes of it
// has a name that a URL can have, and is found by it.
func FuzzTwins(f *testing.F) {
	f.Add([]byte(`{"deviceId":"edge1","moduleId":"m","connectionState":"Connected","lastActivityTime":"2026-01-02T03:04:05Z",`+
		`"cameras":{"front":{"host":"h","streams":{"main":{"path":"/a"}}},"b":{"host":"h","localPort":99}},`+
		`"cameraStatus":{"front":{"state":"unreachable","since":"2026-01-02T03:04:05Z","open":2,"lastReason":"CAM_REFUSED"}},"condition":"degraded"}`),
		[]byte(`{"deviceId":"edge1","cameras":{"front":{"host":1}},"cameraStatus":[1],"condition":{}}`))
	f.Add([]byte(`{"deviceId":"a/b","cameras":{"x":{"host":"h"}}}`), []byte(`{"cameras":null,"cameraStatus":{"front":null}}`))
	f.Fuzz(func(t *testing.T, first, second []byte) {
		for _, c := range fleet.OfTwins(first, second) {
			if name.CheckCamera(c.Name) != nil || c.LocalPort < 1 || c.LocalPort > 65535 {
				t.Errorf("%+v", c)
			}
			for stream := range c.Streams {
				_ = c.Check(stream)
				c.Source(stream)
			}
			_ = c.Trouble()
		}
	})
}
