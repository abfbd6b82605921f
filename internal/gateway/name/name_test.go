package name_test

import (
	"net/url"
	"strings"
	"testing"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/gateway/name"
)

func TestParse(t *testing.T) {
	long := strings.Repeat("d", 128) + "/" + strings.Repeat("m", 128) + "." + strings.Repeat("c", 64) + "/" + strings.Repeat("s", 64)
	tests := map[string][3]string{
		"edge1/front":            {"edge1", "front", ""},
		"/edge1/front/":          {"edge1", "front", ""},
		"/edge1/front/sub":       {"edge1", "front", "sub"},
		"edge.1/mod.a.front":     {"edge.1", "mod.a.front", ""},
		"50%25%2Boff/front":      {"50%+off", "front", ""},
		"a+b/front":              {"a+b", "front", ""},
		"%65dge1/fr%6Fnt/s%75b":  {"edge1", "front", "sub"},
		"%23%3F*!/%24m.front":    {"#?*!", "$m.front", ""},
		"a%252Fb/front":          {"a%2Fb", "front", ""},
		"front-door":             {"", "front-door", ""},
		"front-door/sub":         {"front-door", "sub", ""},
		"lab/192.0.2.7":          {"lab", "192.0.2.7", ""},
		long:                     {strings.Repeat("d", 128), strings.Repeat("m", 128) + "." + strings.Repeat("c", 64), strings.Repeat("s", 64)},
		"trackID=1/front/main-1": {"trackID=1", "front", "main-1"},
	}
	for path, want := range tests {
		device, camera, stream, err := name.Parse(path)
		if got := [3]string{device, camera, stream}; err != nil || got != want {
			t.Errorf("Parse(%q) = %q, %v, want %q", path, got, err, want)
		}
	}
}

func TestParse_invalid(t *testing.T) {
	for _, path := range []string{
		"", "/", "//", "///", "a//b", "/a/b//", "//a/b", "a/b/c/d",
		".", "..", "../..", "a/..", "a/%2e%2E", "%2e/b", "a/b/..", "a/b/c.d",
		"a%2Fb/c", "a/b%2fc", "a%/b", "a%zz/b", "a%00/b", "a/b%0d%0a", "a b/c", "a/%20", "a\\b/c", "é/b", "a/%C3%A9", "a/<b>", "a/b~c",
		"al.ias", "al+ias", strings.Repeat("a", 65), strings.Repeat("a", 129) + "/b", "a/" + strings.Repeat("b", 194), "a/b/" + strings.Repeat("c", 65),
		strings.Repeat("%41", 1000),
	} {
		device, camera, stream, err := name.Parse(path)
		if f := failure.Of(err); f == nil || f.Reason != reason.CameraUnknown || device+camera+stream != "" {
			t.Errorf("Parse(%q) = %q %q %q, %v, want CAM_UNKNOWN", path, device, camera, stream, err)
		}
		if err != nil && len(path) > 3 && strings.Contains(err.Error(), path) {
			t.Errorf("the error repeats the path: %v", err)
		}
	}
}

func TestEscape(t *testing.T) {
	tests := map[string]string{
		"edge1/front":       "edge1/front",
		"edge.1/m.front":    "edge.1/m.front",
		"50%+off/$m.front":  "50%25%2Boff/%24m.front",
		"#?*!/a:close":      "%23%3F%2A%21/a%3Aclose",
		"a%2Fb/front/sub_2": "a%252Fb/front/sub_2",
	}
	for decoded, want := range tests {
		if got := name.Escape(decoded); got != want {
			t.Errorf("Escape(%q) = %q, want %q", decoded, got, want)
		}
	}
}

func TestCheckCamera(t *testing.T) {
	for _, good := range []string{"edge1/front", "edge1/mod.front", "lab/192.0.2.7", "a*b/c"} {
		if err := name.CheckCamera(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{"", "front", "a/b/c", "/b", "a/", "../b", "a/.", "a b/c", "a/b\n", strings.Repeat("a", 129) + "/b"} {
		if err := name.CheckCamera(bad); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}

// Every path either has a reason why it is no name, or a name that survives a round trip
// through a URL.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{"edge1/front", "/a/b/c", "50%25%2Boff/%24m.front", "..", "a%2fb/c", "%", "a//b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, path string) {
		decoded, err := name.Decode(path)
		device, camera, stream, parseErr := name.Parse(path)
		if (err == nil) != (parseErr == nil) {
			t.Fatalf("Decode: %v, Parse: %v", err, parseErr)
		}
		if err != nil {
			if failure.Of(err).Reason != reason.CameraUnknown {
				t.Fatal(err)
			}
			return
		}
		joined := strings.Trim(device+"/"+camera+"/"+stream, "/")
		if joined != decoded {
			t.Fatalf("%q: segments %q, name %q", path, joined, decoded)
		}
		escaped := name.Escape(decoded)
		if again, err := name.Decode(escaped); err != nil || again != decoded {
			t.Fatalf("%q becomes %q, then %q, %v", decoded, escaped, again, err)
		}
		u, err := url.Parse("rtsp://gateway:8554/" + escaped + "?token=x")
		if err != nil || u.Path != "/"+decoded || u.EscapedPath() != "/"+escaped {
			t.Fatalf("%q in a URL: %v, %v", escaped, u, err)
		}
		if clean := u.JoinPath(); clean.Path != u.Path {
			t.Fatalf("%q is cleaned to %q", u.Path, clean.Path)
		}
		if !name.Match(decoded, decoded) || !name.Match("*", decoded) {
			t.Fatalf("%q does not match itself or *", decoded)
		}
	})
}
