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

// jwtLike has the form of a content token.
const jwtLike = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJmcm9udCJ9.c2lnbmF0dXJl_-"

func TestRedact(t *testing.T) {
	clear, _ := access.Generate()
	for text, want := range map[string]string{
		"/api/cameras/edge1/front?limit=5":                    "/api/cameras/edge1/front?limit=5",
		"/x?a=b&token=secret&c=d":                             "/x?a=b&token=***&c=d",
		"/x?TOKEN=secret;p=secret&%61uthorization=secret":     "/x?TOKEN=***;p=***&%61uthorization=***",
		"/x?+token=secret&path=%2Fp":                          "/x?+token=***&path=%2Fp",
		"/x#token=secret":                                     "/x#token=***",
		"rtsp://wall:secret@host:8554/edge1/front?a=b":        "rtsp://wall:***@host:8554/edge1/front?a=b",
		"rtsp://wall:se@cret@host":                            "rtsp://wall:***@host",
		"rtsp://wall@host/x":                                  "rtsp://wall@host/x",
		"/" + clear + "/x":                                    "/rtt_***/x",
		"/x?q=" + clear:                                       "/x?***",
		"/x?" + strings.Replace(clear, "_", "%5F", 1):         "/x?***",
		"/" + strings.Replace(clear, "_", "%5f", 1):           "***",
		"/rtt_%41bc/x":                                        "/rtt_***/x",
		"/x?token":                                            "/x?token",
		"/%zz" + strings.Replace(clear, "_", "%5f", 1):        "***",
		"/rtt_abc/%72tt_abc":                                  "***",
		"/watch#rts_abc-_9":                                   "/watch#***",
		"/x/rto_abc/y":                                        "/x/rto_***/y",
		"session=rtc_abc; path":                               "session=rtc_***; path",
		"/live/a/b/hls/x.mp4?p=rtp_abc&q=1":                   "/live/a/b/hls/x.mp4?p=***&q=1",
		"rtsptunnel.mse.v1, token." + strings.Repeat("x", 20): "rtsptunnel.mse.v1, token.***",
		"rtsptunnel.mse.v1, token." + clear:                   "rtsptunnel.mse.v1, token.***",
		"/assets/token.js/eyJacket/rtx_abc":                   "/assets/token.js/eyJacket/rtx_abc",
		"rtsp://x:" + jwtLike + "@host/edge1":                 "rtsp://x:***@host/edge1",
		"/x/" + jwtLike + "/y":                                "/x/eyJ***/y",
		"/x/%65yJ" + jwtLike[3:] + "/y":                       "***",
		"/x?q=" + jwtLike + "&r=1":                            "/x?***&r=1",
		"Bearer " + jwtLike:                                   "Bearer eyJ***",
		"":                                                    "",
	} {
		if got := access.Redact(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}
