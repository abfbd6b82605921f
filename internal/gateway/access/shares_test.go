package access_test

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/access"
)

// sharing returns an Access in which the viewer wall may share.
func sharing(t *testing.T, store access.Store) (a *access.Access, wall, ops access.Principal) {
	t.Helper()
	a, _, ops = open(t, store)
	a.Set(sharingTokens())
	wall, err := a.Authenticate(wallClear, here)
	if err != nil {
		t.Fatal(err)
	}
	return a, wall, ops
}

func sharingTokens() []access.Token {
	tokens := staticTokens()
	tokens[0].MayShare = true
	return tokens
}

func share(t *testing.T, a *access.Access, by access.Principal, camera string, lasts time.Duration) (access.Share, string) {
	t.Helper()
	s, secret, err := a.Share(by, access.NewShare{Camera: camera, Stream: "sub", End: time.Now().Add(lasts), Note: "Ö"})
	if err != nil {
		t.Fatal(err)
	}
	return s, secret
}

func TestShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newFakeStore()
		a, wall, _ := sharing(t, store)
		made, secret := share(t, a, wall, "edge1/front", 90*24*time.Hour)
		want := access.Share{
			ID: made.ID, Camera: "edge1/front", Stream: "sub", Note: "Ö", By: "wall", ByID: wall.ID,
			Created: time.Now().UTC(), End: time.Now().UTC().Add(90 * 24 * time.Hour),
		}
		if d := cmp.Diff(want, made); d != "" {
			t.Error(d)
		}
		if text := string(store.files["shares.json"]); strings.Contains(text, secret[4:]) || !strings.Contains(text, made.ID) {
			t.Errorf("the file is %s", text)
		}
		<-time.After(50 * 24 * time.Hour)
		restarted, _, _ := sharing(t, store)
		for name, a := range map[string]*access.Access{"running": a, "restarted": restarted} {
			token, expires, opened, err := a.OpenShare(secret, here)
			if err != nil || !expires.Equal(time.Now().Add(time.Hour)) {
				t.Fatalf("%s: until %v, %v", name, expires, err)
			}
			if d := cmp.Diff(want, opened); d != "" {
				t.Errorf("%s: %s", name, d)
			}
			p, err := a.Authenticate(token, here)
			if err != nil || p.Share != made.ID || p.Grant(access.Watch, "edge1/front/sub") != nil || p.Grant(access.Watch, "edge1/back") == nil {
				t.Errorf("%s: %+v, %v", name, p, err)
			}
		}
		<-time.After(40*24*time.Hour - time.Minute)
		token, expires, _, err := a.OpenShare(secret, here)
		if err != nil || !expires.Equal(made.End) {
			t.Fatalf("at its end: until %v, %v", expires, err)
		}
		p, err := a.Authenticate(token, here)
		if err != nil || !p.Expires.Equal(made.End) {
			t.Fatalf("at its end: the playback until %v, %v", p.Expires, err)
		}
		text := a.Playback(p, "edge1/front")
		<-time.After(time.Minute)
		for name, err := range map[string]error{
			"the share":    third(a.OpenShare(secret, here)),
			"its token":    second(a.Authenticate(token, here)), // within the leeway
			"its playback": second(a.AuthenticatePlayback(text, "edge1/front")),
			"its viewer":   second(a.Current(p)),
		} {
			if code(err) != reason.AccessExpired {
				t.Errorf("after its end: %s: %v", name, err)
			}
		}
	})
}

func second[T any](_ T, err error) error                         { return err }
func third(_ string, _ time.Time, _ access.Share, e error) error { return e }

func TestRevokeShare(t *testing.T) {
	store := newFakeStore()
	a, wall, ops := sharing(t, store)
	made, secret := share(t, a, wall, "edge1/front", time.Hour)
	token, _, _, err := a.OpenShare(secret, here)
	if err != nil {
		t.Fatal(err)
	}
	p, err := a.Authenticate(token, here)
	if err != nil {
		t.Fatal(err)
	}
	text := a.Playback(p, "edge1/front")
	stranger, _ := share(t, a, ops, "edge1/front", time.Hour)
	for name, c := range map[string]struct {
		by   access.Principal
		id   string
		want reason.Code
	}{
		"another's":       {wall, stranger.ID, reason.ShareUnknown},
		"unknown":         {wall, "x", reason.ShareUnknown},
		"empty":           {wall, "", reason.ShareUnknown},
		"a content token": {p, made.ID, reason.AccessDenied},
	} {
		if err := a.RevokeShare(c.by, c.id); code(err) != c.want {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
	if err := a.RevokeShare(ops, made.ID); err != nil {
		t.Fatal(err)
	}
	restarted, _, _ := sharing(t, store)
	for at, a := range map[string]*access.Access{"running": a, "restarted": restarted} {
		for name, err := range map[string]error{
			"the share":    third(a.OpenShare(secret, here)),
			"its token":    second(a.Authenticate(token, here)),
			"its playback": second(a.AuthenticatePlayback(text, "edge1/front")),
			"its viewer":   second(a.Current(p)),
		} {
			if code(err) != reason.AccessLogin {
				t.Errorf("%s: %s: %v", at, name, err)
			}
		}
	}
}

// A share ends with the token that made it, and with its right to the camera.
func TestShare_endsWithItsToken(t *testing.T) {
	a, wall, _ := sharing(t, nil)
	_, secret := share(t, a, wall, "edge1/front", time.Hour)
	narrower := wallToken
	narrower.Cameras = []string{"edge1/back"}
	for name, c := range map[string]struct {
		tokens []access.Token
		want   reason.Code
	}{
		"unchanged":         {sharingTokens(), ""},
		"may not share now": {staticTokens(), ""},
		"narrower":          {[]access.Token{narrower}, reason.AccessDenied},
		"removed":           {nil, reason.AccessLogin},
	} {
		a.Set(c.tokens)
		if _, _, _, err := a.OpenShare(secret, here); code(err) != c.want {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestShare_refuses(t *testing.T) {
	a, wall, ops := sharing(t, nil)
	a.Set(staticTokens())
	hour := time.Now().Add(time.Hour)
	for name, c := range map[string]struct {
		by   access.Principal
		n    access.NewShare
		want reason.Code
	}{
		"a viewer that may not":   {wall, access.NewShare{Camera: "edge1/front", End: hour}, reason.AccessDenied},
		"another's camera":        {wall, access.NewShare{Camera: "edge2/front", End: hour}, reason.AccessDenied},
		"no principal":            {access.Principal{}, access.NewShare{Camera: "edge2/front", End: hour}, reason.AccessLogin},
		"an admin":                {ops, access.NewShare{Camera: "edge2/front", End: hour}, ""},
		"an admin's login":        {cookie(t, a, ops), access.NewShare{Camera: "edge2/front", End: hour}, ""},
		"no end":                  {ops, access.NewShare{Camera: "edge2/front"}, reason.RequestField},
		"an end now":              {ops, access.NewShare{Camera: "edge2/front", End: time.Now()}, reason.RequestField},
		"more than 90 days":       {ops, access.NewShare{Camera: "edge2/front", End: time.Now().Add(91 * 24 * time.Hour)}, reason.RequestField},
		"a long note":             {ops, access.NewShare{Camera: "edge2/front", End: hour, Note: strings.Repeat("x", 201)}, reason.RequestField},
		"a control character":     {ops, access.NewShare{Camera: "edge2/front", End: hour, Note: "a\nb"}, reason.RequestField},
		"no UTF-8":                {ops, access.NewShare{Camera: "edge2/front", End: hour, Note: "\xff"}, reason.RequestField},
		"a stream of two parts":   {ops, access.NewShare{Camera: "edge2/front", End: hour, Stream: "a/b"}, reason.RequestField},
		"a stream without an end": {ops, access.NewShare{Camera: "edge2/front", End: hour, Stream: strings.Repeat("x", 2000)}, reason.RequestField},
	} {
		if _, secret, err := a.Share(c.by, c.n); code(err) != c.want || (secret == "") != (err != nil) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// A viewer sees its own shares, an admin those of its cameras.
func TestShares(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, wall, ops := sharing(t, nil)
		site, siteClear := viewer("site", "edge2/*")
		site.Role = access.Admin
		a.Set(append(sharingTokens(), site))
		siteAdmin, err := a.Authenticate(siteClear, here)
		if err != nil {
			t.Fatal(err)
		}
		first, _ := share(t, a, wall, "edge1/front", time.Hour)
		<-time.After(time.Second)
		later, _ := share(t, a, ops, "edge2/front", time.Hour)
		for name, c := range map[string]struct {
			by   access.Principal
			want []access.Share
		}{"viewer": {wall, []access.Share{first}}, "admin": {ops, []access.Share{later, first}}, "admin of a site": {siteAdmin, []access.Share{later}}} {
			got, err := a.Shares(c.by)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("%s: %s", name, d)
			}
		}
		if err := a.RevokeShare(siteAdmin, first.ID); code(err) != reason.ShareUnknown {
			t.Errorf("an admin of another site revokes: %v", err)
		}
	})
}

// A token has 100 shares. Expired ones make room.
func TestShare_bounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, wall, ops := sharing(t, nil)
		n := access.NewShare{Camera: "edge1/front", End: time.Now().Add(time.Hour)}
		for range 100 {
			share(t, a, wall, "edge1/front", time.Hour)
		}
		if _, _, err := a.Share(wall, n); code(err) != reason.LimitShares {
			t.Errorf("share 101 of a token: %v", err)
		}
		share(t, a, ops, "edge1/front", 3*time.Hour)
		<-time.After(time.Hour)
		share(t, a, wall, "edge1/front", 2*time.Hour) // the others have expired
		if all, err := a.Shares(ops); err != nil || len(all) != 2 {
			t.Errorf("%d shares are kept, %v", len(all), err)
		}
	})
}

// A gateway has 1,000 shares. Those that have lost their token make room.
func TestShare_boundedInAll(t *testing.T) {
	_, _, ops := open(t, nil)
	for name, c := range map[string]struct {
		kept int
		by   string
		want reason.Code
	}{"999": {999, ops.ID, ""}, "1,000": {1000, ops.ID, reason.LimitShares}, "1,000 of a removed token": {1000, "removed", ""}} {
		store := newFakeStore()
		store.files["shares.json"] = storedShares(t, c.kept, c.by)
		a, wall, _ := sharing(t, store)
		_, _, err := a.Share(wall, access.NewShare{Camera: "edge1/front", End: time.Now().Add(time.Hour)})
		if code(err) != c.want {
			t.Errorf("%s: another one: %v, want %q", name, err, c.want)
		}
	}
}

// storedShares returns a file with n shares of one token.
func storedShares(t *testing.T, n int, by string) []byte {
	t.Helper()
	type stored struct {
		access.Share
		Hash string `json:"sha256"`
	}
	all := make([]stored, n)
	now := time.Now()
	for i := range all {
		_, hash := access.Generate()
		all[i] = stored{access.Share{ID: strconv.Itoa(i), Camera: "edge1/front", By: "x", ByID: by, Created: now, End: now.Add(time.Hour)}, hash.String()}
	}
	content, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// A share that cannot be saved is none; a revoked one stays revoked, and Tend saves that.
func TestShare_fullFolder(t *testing.T) {
	store := newFakeStore()
	a, _, ops := sharing(t, store)
	made, secret := share(t, a, ops, "edge1/front", time.Hour)
	store.setFull(true)
	_, lost, err := a.Share(ops, access.NewShare{Camera: "edge1/front", End: time.Now().Add(time.Hour)})
	if codeAnyHop(err) != reason.DataFolder || lost != "" {
		t.Errorf("a share in a full folder: %v", err)
	}
	if all, err := a.Shares(ops); err != nil || len(all) != 1 {
		t.Errorf("%d shares, %v", len(all), err)
	}
	if err := a.RevokeShare(ops, made.ID); codeAnyHop(err) != reason.DataFolder {
		t.Errorf("a revocation in a full folder: %v", err)
	}
	if err := third(a.OpenShare(secret, here)); code(err) != reason.AccessLogin {
		t.Errorf("a revoked share: %v", err)
	}
	store.setFull(false)
	if err := a.Tend(); err != nil {
		t.Fatal(err)
	}
	restarted, _, _ := sharing(t, store)
	if err := third(restarted.OpenShare(secret, here)); code(err) != reason.AccessLogin {
		t.Errorf("a revoked share, after a restart: %v", err)
	}
}

func TestOpenShare_refuses(t *testing.T) {
	a, _, ops := sharing(t, nil)
	_, secret := share(t, a, ops, "edge1/front", time.Hour)
	_, unseen := share(t, a, ops, "edge1/none", time.Hour)
	for name, c := range map[string]struct {
		secret string
		want   reason.Code
	}{
		"empty": {"", reason.AccessLogin}, "a tail": {secret + "A", reason.AccessLogin}, "a token": {opsClear, reason.AccessLogin},
		"another prefix": {"rtt_" + secret[4:], reason.AccessLogin}, "no video": {unseen, reason.CameraUnknown}, "valid": {secret, ""},
	} {
		token, _, _, err := a.OpenShare(c.secret, here)
		if code(err) != c.want || (token == "") != (err != nil) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	if _, err := a.Authenticate(secret, here); code(err) != reason.AccessLogin {
		t.Errorf("a share's secret is a token: %v", err)
	}
	for i := range 8 {
		err := third(a.OpenShare("rts_wrong", here))
		if want := i >= 5; (code(err) == reason.AccessThrottled) != want {
			t.Errorf("failure %d: %v", i+5, err)
		}
	}
}
