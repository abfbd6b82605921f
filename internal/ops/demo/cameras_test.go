package demo

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseCamera(t *testing.T) {
	type parts struct {
		Host           string
		Port           int
		Path           string
		User, Password string
	}
	for text, want := range map[string]*parts{
		"rtsp://10.0.0.9/live": {"10.0.0.9", 554, "/live", "", ""},
		"rtsp://10.0.0.9":      {"10.0.0.9", 554, "/", "", ""},
		"rtsp://u:p%40w@cam.example:8554/a/b?channel=1&x=": {"cam.example", 8554, "/a/b?channel=1&x=", "u", "p@w"},
		"rtsp://u@[fd00::9]:1/":                            {"fd00::9", 1, "/", "u", ""},
		"rtsps://canary@10.0.0.9/":                         nil,
		"http://canary@10.0.0.9/":                          nil,
		"rtsp://canary@/live":                              nil,
		"rtsp://canary@10.0.0.9:0/":                        nil,
		"rtsp://canary@10.0.0.9:70000/":                    nil,
		"rtsp://canary@10.0.0.9/#x":                        nil,
		"rtsp:canary":                                      nil,
		"canary %zz":                                       nil,
		"":                                                 nil,
	} {
		c, err := parseCamera(text)
		if want == nil {
			if err == nil || strings.Contains(err.Error(), "canary") {
				t.Errorf("%q: %v", text, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if d := cmp.Diff(*want, parts{c.host, c.port, c.path, c.username, c.password}); d != "" {
			t.Errorf("%q: %s", text, d)
		}
	}
}
