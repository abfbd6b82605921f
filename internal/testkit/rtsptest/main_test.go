package rtsptest_test

import (
	"testing"

	"go.uber.org/goleak"

	"rtsptunnel/internal/testkit/rtsptest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newCamera starts a camera and closes it when the test ends.
func newCamera(t *testing.T, o rtsptest.Options) *rtsptest.Camera {
	t.Helper()
	camera, err := rtsptest.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(camera.Close)
	return camera
}
