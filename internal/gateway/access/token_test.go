package access_test

import (
	"strings"
	"testing"
	"time"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/access"
)

func TestGenerate(t *testing.T) {
	first, hash := access.Generate()
	second, _ := access.Generate()
	if first == second || !strings.HasPrefix(first, "rtt_") || len(first) != 47 {
		t.Errorf("tokens %q and %q", first, second)
	}
	if got, err := access.HashOf(first); err != nil || got != hash {
		t.Errorf("hash %v, %v", got, err)
	}
	if got, err := access.ParseHash(" " + strings.ToUpper(hash.String()) + "\r\n"); err != nil || got != hash {
		t.Errorf("parsed %v, %v", got, err)
	}
	// Public tools compute the same hash: printf %s TOKEN | sha256sum.
	known, err := access.HashOf("rtt_" + strings.Repeat("A", 43))
	if want := "8dd8b774e6ee76608ceeb39426f0a79573687a951e92165ffb3b79afe1fe636b"; err != nil || known.String() != want {
		t.Errorf("hash %v, %v, want %s", known, err, want)
	}
}

func TestCheck(t *testing.T) {
	good, _ := viewer("wall", "edge1/*", "edge2/front", "*")
	for name, c := range map[string]struct {
		change func(*access.Token)
		want   string // a part of the error; empty for none
	}{
		"good":             {func(*access.Token) {}, ""},
		"admin":            {func(t *access.Token) { t.Role, t.Cameras = access.Admin, nil }, ""},
		"no name":          {func(t *access.Token) { t.Name = "" }, "a name has"},
		"colon in name":    {func(t *access.Token) { t.Name = "a:b" }, "a name has"},
		"no role":          {func(t *access.Token) { t.Role = "" }, "the role"},
		"no cameras":       {func(t *access.Token) { t.Cameras = nil }, "needs cameras"},
		"a device alone":   {func(t *access.Token) { t.Cameras = []string{"edge1"} }, `"edge1"`},
		"an empty segment": {func(t *access.Token) { t.Cameras = []string{"edge1/"} }, `"edge1/"`},
		"a stream":         {func(t *access.Token) { t.Cameras = []string{"a/b/c"} }, `"a/b/c"`},
		"no hash":          {func(t *access.Token) { t.Hash = access.Hash{} }, "hash"},
		"other secret":     {func(t *access.Token) { t.Secret = "rtt_" }, "clear token"},
	} {
		token := good
		c.change(&token)
		err := access.Check([]access.Token{token})
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	same, _ := viewer("wall", "*")
	copied := good
	copied.Name = "copy"
	err := access.Check([]access.Token{good, same, copied})
	if err == nil || strings.Count(err.Error(), `of token "wall"`) != 2 {
		t.Errorf("duplicates: %v", err)
	}
}

func TestGrant(t *testing.T) {
	principal := func(role access.Role, cameras ...string) access.Principal {
		return access.Principal{Name: "x", Role: role, Cameras: cameras}
	}
	for name, c := range map[string]struct {
		p      access.Principal
		action access.Action
		camera string
		want   bool
	}{
		"exact":                      {principal(access.Viewer, "edge1/front"), access.Watch, "edge1/front", true},
		"another camera":             {principal(access.Viewer, "edge1/front"), access.Watch, "edge1/back", false},
		"case":                       {principal(access.Viewer, "edge1/front"), access.Watch, "Edge1/front", false},
		"a stream of the camera":     {principal(access.Viewer, "edge1/front"), access.Watch, "edge1/front/sub", true},
		"a stream of another":        {principal(access.Viewer, "edge1/front"), access.Watch, "edge1/back/front", false},
		"four segments":              {principal(access.Viewer, "edge1/*"), access.Watch, "edge1/front/sub/x", false},
		"star in its segment":        {principal(access.Viewer, "edge1/*"), access.Watch, "edge1/front", true},
		"star is not a slash":        {principal(access.Viewer, "edge*"), access.Watch, "edge1/front", false},
		"star is no device's prefix": {principal(access.Viewer, "edge1*/front"), access.Watch, "edge1/x/front", false},
		"stars around":               {principal(access.Viewer, "*.site7.*/f*t"), access.Watch, "a.site7.b/front", true},
		"a part twice":               {principal(access.Viewer, "a*a/x"), access.Watch, "a/x", false},
		"other signs are texts":      {principal(access.Viewer, "edge?[1]/x"), access.Watch, "edge?[1]/x", true},
		"a question mark":            {principal(access.Viewer, "edge?/x"), access.Watch, "edge1/x", false},
		"all":                        {principal(access.Viewer, "*"), access.Watch, "edge1/front", true},
		"the second glob":            {principal(access.Viewer, "a/b", "*"), access.Watch, "edge1/front", true},
		"no glob":                    {principal(access.Viewer), access.Watch, "edge1/front", false},
		"a viewer exports":           {principal(access.Viewer, "*"), access.Export, "edge1/front", true},
		"a viewer talks":             {principal(access.Viewer, "*"), access.Talk, "edge1/front", false},
		"a viewer operates":          {principal(access.Viewer, "*"), access.Operate, "edge1/front", false},
		"an admin manages":           {principal(access.Admin, "*"), access.Manage, "", true},
		"an admin of a site manages": {principal(access.Admin, "*/*"), access.Manage, "", false},
		"an admin of a site":         {principal(access.Admin, "edge1/*"), access.Operate, "edge1/front", true},
		"an admin of another site":   {principal(access.Admin, "edge1/*"), access.Operate, "edge2/front", false},
		"no role":                    {principal("", "*"), access.Watch, "edge1/front", false},
		"nothing":                    {access.Principal{}, access.Watch, "", false},
	} {
		err := c.p.Grant(c.action, c.camera)
		if (err == nil) != c.want || err != nil && code(err) != reason.AccessDenied {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	expired := principal(access.Admin, "*")
	expired.Expires = time.Now()
	if err := expired.Grant(access.Watch, "a/b"); code(err) != reason.AccessExpired {
		t.Errorf("expired: %v", err)
	}
}

func TestRedact(t *testing.T) {
	clear, _ := access.Generate()
	for text, want := range map[string]string{
		"/api/cameras/edge1/front?limit=5":                "/api/cameras/edge1/front?limit=5",
		"/x?a=b&token=secret&c=d":                         "/x?a=b&token=***&c=d",
		"/x?TOKEN=secret;p=secret&%61uthorization=secret": "/x?TOKEN=***;p=***&%61uthorization=***",
		"/x?+token=secret&path=%2Fp":                      "/x?+token=***&path=%2Fp",
		"/x#token=secret":                                 "/x#token=***",
		"rtsp://wall:secret@host:8554/edge1/front?a=b":    "rtsp://wall:***@host:8554/edge1/front?a=b",
		"rtsp://wall:se@cret@host":                        "rtsp://wall:***@host",
		"rtsp://wall@host/x":                              "rtsp://wall@host/x",
		"/" + clear + "/x":                                "/rtt_***/x",
		"/x?q=" + clear:                                   "/x?***",
		"/x?" + strings.Replace(clear, "_", "%5F", 1):     "/x?***",
		"/" + strings.Replace(clear, "_", "%5f", 1):       "***",
		"/rtt_%41bc/x":                                    "/rtt_***/x",
		"/x?token":                                        "/x?token",
		"":                                                "",
	} {
		if got := access.Redact(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

// Text that is no token has no hash, and text around a token shows none of it.
func FuzzToken(f *testing.F) {
	clear, _ := access.Generate()
	f.Add("/x?a=b&token=", clear)
	f.Add("rtsp://wall:", clear+"@host/")
	f.Add("%", "rtt_"+strings.Repeat("%41", 43))
	a := access.New(nil)
	f.Fuzz(func(t *testing.T, before, text string) {
		_, err := access.HashOf(text)
		valid := len(text) == 47 && strings.HasPrefix(text, "rtt_") && !strings.ContainsFunc(text[4:], func(r rune) bool {
			return !strings.ContainsRune("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", r)
		})
		if (err == nil) != valid {
			t.Errorf("%q: %v, valid %v", text, err, valid)
		}
		_, _ = access.ParseHash(text)
		if _, err := a.AuthenticateName(before, text, here); err == nil {
			t.Errorf("%q logs in", text)
		}
		access.Redact(text)
		if got := access.Redact(before + clear + text); strings.Contains(got, clear[4:]) {
			t.Errorf("%q is shown as %q", before+clear+text, got)
		}
	})
}
