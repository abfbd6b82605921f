package access_test

import (
	"encoding/base64"
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/access"
)

func TestPlayback(t *testing.T) {
	a, wall, ops := open(t, nil)
	token, _ := mint(t, a, wall, "edge1/front", 0)
	content, err := a.Authenticate(token, here)
	if err != nil {
		t.Fatal(err)
	}
	session := cookie(t, a, wall)
	for name, by := range map[string]access.Principal{"static": wall, "admin": ops, "content": content, "login": session} {
		text := a.Playback(by, "edge1/front/sub")
		if strings.ContainsFunc(text, func(r rune) bool { return r > 'z' || strings.ContainsRune("+/=%&;", r) }) {
			t.Errorf("%s: %s needs escaping in a URL", name, text)
		}
		p, err := a.AuthenticatePlayback(text, "edge1/front")
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if p.Name != by.Name || p.ID != by.ID || p.Kind != access.Playback || p.Role != access.Viewer {
			t.Errorf("%s: principal %+v", name, p)
		}
		if _, err := a.AuthenticatePlayback(text, "edge1/front/main"); err != nil {
			t.Errorf("%s: a stream: %v", name, err)
		}
		if _, err := a.AuthenticatePlayback(text, "edge1/back"); code(err) != reason.AccessDenied {
			t.Errorf("%s: another camera: %v", name, err)
		}
		if p.Grant(access.Listen, "edge1/front") != nil || p.Grant(access.Watch, "edge1/back") == nil || p.Grant(access.Manage, "") == nil {
			t.Errorf("%s: rights of %+v", name, p)
		}
		if _, _, err := a.MintContent(p, "edge1/front", 0); code(err) != reason.AccessDenied {
			t.Errorf("%s: a playback mints a token: %v", name, err)
		}
	}
}

// A playback outlives its content token, lasts 12 hours, and does not renew itself.
func TestPlayback_lifetime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, wall, _ := open(t, nil)
		token, _ := mint(t, a, wall, "edge1/front", time.Minute)
		content, err := a.Authenticate(token, here)
		if err != nil {
			t.Fatal(err)
		}
		text := a.Playback(content, "edge1/front")
		<-time.After(12*time.Hour - time.Second)
		p, err := a.AuthenticatePlayback(text, "edge1/front")
		if err != nil {
			t.Fatalf("before its end: %v", err)
		}
		renewed := a.Playback(p, "edge1/front")
		if _, err := a.AuthenticatePlayback(renewed, "edge1/front"); err != nil {
			t.Errorf("another mark: %v", err)
		}
		<-time.After(time.Second)
		for name, text := range map[string]string{"first": text, "renewed": renewed} {
			if _, err := a.AuthenticatePlayback(text, "edge1/front"); code(err) != reason.AccessExpired {
				t.Errorf("the %s mark after 12 hours: %v", name, err)
			}
		}
	})
}

func TestPlayback_endsWithItsToken(t *testing.T) {
	a, wall, _ := open(t, nil)
	text := a.Playback(wall, "edge1/front")
	session := a.Playback(cookie(t, a, wall), "edge1/front")
	p, err := a.AuthenticatePlayback(session, "edge1/front")
	if err != nil {
		t.Fatal(err)
	}
	if err := a.EndCookies(wall); err != nil {
		t.Fatal(err)
	}
	if _, err := a.AuthenticatePlayback(session, "edge1/front"); code(err) != reason.AccessLogin {
		t.Errorf("a playback of an ended login: %v", err)
	}
	if _, err := a.Current(p); code(err) != reason.AccessLogin {
		t.Errorf("a principal of an ended login: %v", err)
	}
	if _, err := a.AuthenticatePlayback(text, "edge1/front"); err != nil {
		t.Errorf("a playback of the token itself: %v", err)
	}
	a.Set(nil)
	if _, err := a.AuthenticatePlayback(text, "edge1/front"); code(err) != reason.AccessLogin {
		t.Errorf("a playback of a removed token: %v", err)
	}
}

// cookie returns a principal that has logged in with a cookie.
func cookie(t *testing.T, a *access.Access, by access.Principal) access.Principal {
	t.Helper()
	value, _, err := a.Cookie(by)
	if err != nil {
		t.Fatal(err)
	}
	p, err := a.AuthenticateCookie(value)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestCookie(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, wall, ops := open(t, nil)
		value, expires, err := a.Cookie(ops)
		if err != nil || !expires.Equal(time.Now().Add(12*time.Hour)) {
			t.Fatalf("until %v, %v", expires, err)
		}
		if strings.ContainsAny(value, "\"\\,; =") { // RFC 6265, 4.1.1
			t.Errorf("the value %s", value)
		}
		p, err := a.AuthenticateCookie(value)
		if err != nil || p.Name != "ops" || p.ID != ops.ID || p.Kind != access.Login || p.Grant(access.Manage, "") != nil || !p.MayShare {
			t.Fatalf("%+v, %v", p, err)
		}
		w := cookie(t, a, wall)
		if w.Grant(access.Watch, "edge1/front") != nil || w.Grant(access.Watch, "edge2/front") == nil || w.Grant(access.Manage, "") == nil || w.MayShare {
			t.Errorf("rights of %+v", w)
		}
		// What a login mints is the token's, and a login does not renew itself.
		token, _ := mint(t, a, w, "edge1/front", 0)
		if c, err := a.Authenticate(token, here); err != nil || c.ID != wall.ID {
			t.Errorf("a content token of a login: %v", err)
		}
		<-time.After(12*time.Hour - time.Second)
		again, until, err := a.Cookie(p)
		if err != nil || !until.Equal(expires) {
			t.Errorf("a login makes a cookie until %v, %v", until, err)
		}
		<-time.After(time.Second)
		for name, value := range map[string]string{"first": value, "second": again} {
			if _, err := a.AuthenticateCookie(value); code(err) != reason.AccessExpired {
				t.Errorf("the %s cookie after 12 hours: %v", name, err)
			}
		}
		if _, err := a.Current(p); code(err) != reason.AccessExpired {
			t.Errorf("the principal after 12 hours: %v", err)
		}
		if a.Counts().Failed != 0 {
			t.Error("cookies count as failed logins")
		}
	})
}

// A login has the rights that its token has now.
func TestCookie_followsItsToken(t *testing.T) {
	a, wall, _ := open(t, nil)
	value, _, err := a.Cookie(wall)
	if err != nil {
		t.Fatal(err)
	}
	wider := wallToken
	wider.Cameras, wider.MayShare = []string{"*"}, true
	a.Set([]access.Token{wider})
	if p, err := a.AuthenticateCookie(value); err != nil || p.Grant(access.Watch, "edge2/x") != nil || !p.MayShare {
		t.Errorf("wider: %v", err)
	}
	wider.Expires = time.Now()
	a.Set([]access.Token{wider})
	if _, err := a.AuthenticateCookie(value); code(err) != reason.AccessExpired {
		t.Errorf("expired: %v", err)
	}
	a.Set(nil)
	if _, err := a.AuthenticateCookie(value); code(err) != reason.AccessLogin {
		t.Errorf("removed: %v", err)
	}
	if _, _, err := a.Cookie(wall); code(err) != reason.AccessLogin {
		t.Errorf("a cookie for a removed token: %v", err)
	}
}

// EndCookies ends the logins of one token, also over a restart, and codes.
func TestEndCookies(t *testing.T) {
	store := newFakeStore()
	a, wall, ops := open(t, store)
	old, _, err := a.Cookie(ops)
	if err != nil {
		t.Fatal(err)
	}
	principal := cookie(t, a, ops)
	others, _, err := a.Cookie(wall)
	if err != nil {
		t.Fatal(err)
	}
	pending, _, err := a.OneTimeLogin(ops, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.EndCookies(principal); err != nil {
		t.Fatal(err)
	}
	fresh, _, err := a.Cookie(ops)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Redeem(pending, here); code(err) != reason.AccessLogin {
		t.Errorf("a code: %v", err)
	}
	if _, err := a.Current(principal); code(err) != reason.AccessLogin {
		t.Errorf("a principal: %v", err)
	}
	if _, _, err := a.Cookie(principal); code(err) != reason.AccessLogin {
		t.Errorf("a cookie for an ended login: %v", err)
	}
	restarted, _ := access.Open(access.Options{PublicURL: publicURL, Video: video, Store: store})
	restarted.Set(staticTokens())
	for name, a := range map[string]*access.Access{"running": a, "restarted": restarted} {
		for value, want := range map[string]reason.Code{old: reason.AccessLogin, fresh: "", others: ""} {
			if _, err := a.AuthenticateCookie(value); code(err) != want {
				t.Errorf("%s: %v, want %q", name, err, want)
			}
		}
	}
}

// A data folder that takes nothing does not keep a login in force, and Tend saves it later.
func TestEndCookies_fullFolder(t *testing.T) {
	store := newFakeStore()
	a, _, ops := open(t, store)
	value, _, err := a.Cookie(ops)
	if err != nil {
		t.Fatal(err)
	}
	store.setFull(true)
	if err := a.EndCookies(ops); codeAnyHop(err) != reason.DataFolder {
		t.Errorf("the error is %v", err)
	}
	if _, err := a.AuthenticateCookie(value); code(err) != reason.AccessLogin {
		t.Errorf("the login: %v", err)
	}
	if a.Tend() == nil {
		t.Error("Tend saved to a full folder")
	}
	store.setFull(false)
	if err := a.Tend(); err != nil {
		t.Error(err)
	}
	restarted, _, _ := open(t, store)
	if _, err := restarted.AuthenticateCookie(value); code(err) != reason.AccessLogin {
		t.Errorf("the login, after a restart: %v", err)
	}
	saves := store.saves
	if err := a.Tend(); err != nil || store.saves != saves {
		t.Errorf("Tend saves what is saved: %v", err)
	}
}

// Values of another gateway, of another purpose, and changed ones are invalid.
func TestMarks_refuseForgeries(t *testing.T) {
	a, wall, _ := open(t, nil)
	other, _, _ := open(t, nil)
	value, _, err := a.Cookie(wall)
	if err != nil {
		t.Fatal(err)
	}
	foreign, _, err := other.Cookie(wall)
	if err != nil {
		t.Fatal(err)
	}
	text, foreignText := a.Playback(wall, "edge1/front"), other.Playback(wall, "edge1/front")
	raw := func(prefix, text string) []byte {
		decoded, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(text, prefix))
		if err != nil {
			t.Fatal(err)
		}
		return decoded
	}
	payload := raw("rtp_", text)
	changed := func(at int) string {
		c := append([]byte(nil), payload...)
		c[at] ^= 1
		return "rtp_" + base64.RawURLEncoding.EncodeToString(c)
	}
	for name, text := range map[string]string{
		"another gateway's": foreignText,
		"a cookie":          value,
		"a cookie's bytes":  "rtp_" + strings.TrimPrefix(value, "rtc_"),
		"empty":             "",
		"the prefix":        "rtp_",
		"without prefix":    strings.TrimPrefix(text, "rtp_"),
		"a tail":            text + "A",
		"short":             text[:len(text)-4],
		"no payload":        "rtp_" + base64.RawURLEncoding.EncodeToString(payload[:40]),
		"a line's end":      text[:20] + "\n" + text[20:],
		"padding":           text + "=",
		"another key's id":  changed(0),
		"another proof":     changed(8),
		"another payload":   changed(len(payload) - 4),
		"long":              "rtp_" + strings.Repeat("A", 1<<20),
		"a static token":    wallClear,
	} {
		if _, err := a.AuthenticatePlayback(text, "edge1/front"); code(err) != reason.AccessLogin {
			t.Errorf("playback: %s: %v", name, err)
		}
	}
	for name, value := range map[string]string{
		"another gateway's": foreign,
		"a playback":        text,
		"a playback's":      "rtc_" + strings.TrimPrefix(text, "rtp_"),
		"empty":             "",
		"a static token":    wallClear,
		"a tail":            value + "A",
	} {
		if _, err := a.AuthenticateCookie(value); code(err) != reason.AccessLogin {
			t.Errorf("cookie: %s: %v", name, err)
		}
	}
}

// The encoding of a mark is unique: another text of the same bytes is no mark.
func TestMarks_areCanonical(t *testing.T) {
	a, wall, _ := open(t, nil)
	const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	tried := 0
	for _, camera := range []string{"edge1/f", "edge1/fr", "edge1/fro"} {
		text := a.Playback(wall, camera)
		if len(strings.TrimPrefix(text, "rtp_"))%4 == 0 {
			continue
		}
		tried++
		last := strings.IndexByte(digits, text[len(text)-1])
		other := text[:len(text)-1] + digits[last^1:last^1+1]
		if _, err := a.AuthenticatePlayback(other, camera); code(err) != reason.AccessLogin {
			t.Errorf("%s: %v", camera, err)
		}
	}
	if tried != 2 {
		t.Errorf("%d texts had bits to spare, want 2", tried)
	}
}

// Many ended logins make room: those of tokens that there are no more are dropped.
func TestEndCookies_bounded(t *testing.T) {
	store := newFakeStore()
	_, wall, _ := open(t, store)
	ended := map[string]uint64{wall.ID: 1}
	for i := range 4095 {
		ended[strconv.Itoa(i)] = 1
	}
	content, err := json.Marshal(ended)
	if err != nil {
		t.Fatal(err)
	}
	store.files["cookies.json"] = content
	a, wall, ops := open(t, store)
	value, _, err := a.Cookie(ops)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.EndCookies(ops); err != nil {
		t.Fatal(err)
	}
	if _, err := a.AuthenticateCookie(value); code(err) != reason.AccessLogin {
		t.Errorf("the login: %v", err)
	}
	want := `{"` + min(wall.ID, ops.ID) + `":1,"` + max(wall.ID, ops.ID) + `":1}`
	if got := string(store.files["cookies.json"]); got != want {
		t.Errorf("the file is %.200s, want %s", got, want)
	}
}
