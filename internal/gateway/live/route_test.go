package live_test

import (
	"strings"
	"testing"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/live"
)

func TestParse(t *testing.T) {
	for path, want := range map[string][3]string{
		"/live/door/mse":                                    {"door", "mse", ""},
		"/live/edge1/front/mse":                             {"edge1/front", "mse", ""},
		"/live/edge1/front/sub/rtsp":                        {"edge1/front/sub", "rtsp", ""},
		"/live/edge1/front/still.mp4":                       {"edge1/front", "still.mp4", ""},
		"/live/edge1/front/hls/index.m3u8":                  {"edge1/front", "hls", "index.m3u8"},
		"/live/edge1/front/sub/hls/a_b-1.mp4":               {"edge1/front/sub", "hls", "a_b-1.mp4"},
		"/live/mse/mse":                                     {"mse", "mse", ""},
		"/live/edge1/hls/mse":                               {"edge1/hls", "mse", ""},
		"/live/edge1/hls/hls/x":                             {"edge1/hls", "hls", "x"},
		"/live/edge%201/x/mse":                              {},
		"/live/a%23b/m%2Ec/mse":                             {"a#b/m.c", "mse", ""},
		"/live/%65dge1/front/hls/index%2em3u8":              {"edge1/front", "hls", "index.m3u8"},
		"/live/edge1/front/rtsp/hls/index.m3u8":             {"edge1/front/rtsp", "hls", "index.m3u8"},
		"/live/edge1/front/sub/hls/" + long(128):            {"edge1/front/sub", "hls", long(128)},
		"/rtsp-tunnel/5E0B1D2C-5f0c-4d0e-9c43-6f6a3ad6a0b7": {"5e0b1d2c-5f0c-4d0e-9c43-6f6a3ad6a0b7", "rtsp", ""},
	} {
		name, output, file, err := live.Parse(path)
		if want == [3]string{} {
			checkReason(t, path, err, reason.CameraUnknown)
			continue
		}
		if got := [3]string{name, output, file}; err != nil || got != want {
			t.Errorf("%s: %q, %v", path, got, err)
		}
	}
}

func TestParse_invalid(t *testing.T) {
	for path, want := range map[string]reason.Code{
		"/live/":                                              reason.RequestRoute,
		"/live":                                               reason.RequestRoute,
		"/api/door/mse":                                       reason.RequestRoute,
		"/live/mse":                                           reason.RequestRoute,
		"/live//mse":                                          reason.CameraUnknown,
		"/live//edge1/front/mse":                              reason.RequestRoute,
		"/live/edge1/front//mse":                              reason.RequestRoute,
		"/live/edge1/front/mse/":                              reason.RequestRoute,
		"/live/edge1/front/webrtc":                            reason.RequestRoute,
		"/live/edge1/front/MSE":                               reason.RequestRoute,
		"/live/edge1/front/m%73e":                             reason.RequestRoute,
		"/live/edge1/front/mse/file":                          reason.RequestRoute,
		"/live/hls/index.m3u8":                                reason.RequestRoute,
		"/live/edge1/front/hls/":                              reason.RequestRoute,
		"/live/edge1/front/hls/a/b":                           reason.RequestRoute,
		"/live/edge1/front/hls/a%2Fb":                         reason.RequestRoute,
		"/live/edge1/front/hls/..":                            reason.RequestRoute,
		"/live/edge1/front/hls/%2e%2e":                        reason.RequestRoute,
		"/live/edge1/front/hls/a%00":                          reason.RequestRoute,
		"/live/edge1/front/hls/%zz":                           reason.RequestRoute,
		"/live/edge1/front/hls/" + long(129):                  reason.RequestRoute,
		"/live/edge1%2Ffront/mse":                             reason.CameraUnknown,
		"/live/../front/mse":                                  reason.CameraUnknown,
		"/live/a/b/c/d/mse":                                   reason.CameraUnknown,
		"/live/" + strings.Repeat("a/", 99) + "mse":           reason.CameraUnknown,
		"/rtsp-tunnel/":                                       reason.RequestRoute,
		"/rtsp-tunnel/door":                                   reason.RequestRoute,
		"/rtsp-tunnel/5e0b1d2c-5f0c-4d0e-9c43-6f6a3ad6a0b7/x": reason.RequestRoute,
		"/rtsp-tunnel/5e0b1d2c-5f0c-4d0e-9c43-6f6a3ad6a0bg":   reason.RequestRoute,
		"/rtsp-tunnel/5e0b1d2c-5f0c-4d0e-9c43a6f6a3ad6a0b7":   reason.RequestRoute,
		"/rtsp-tunnel/5e0b1d2c-5f0c-4d0e-9c43-6f6a3ad6a0-7":   reason.RequestRoute,
	} {
		_, _, _, err := live.Parse(path)
		checkReason(t, path, err, want)
	}
}

func long(n int) string { return strings.Repeat("a", n) }

func checkReason(t *testing.T, what string, err error, want reason.Code) {
	t.Helper()
	if f := failure.Of(err); f == nil || f.Reason != want {
		t.Errorf("%s: error %v, want %s", what, err, want)
	}
}
