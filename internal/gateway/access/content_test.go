package access_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/access"
)

const (
	publicURL = "https://gw.example.com/video"
	guid      = "0b1d2c5e-5f0c-5d0e-9c43-6f6a3ad6a0b7"
)

// open returns an Access with a viewer of edge1 and an admin, and their principals.
func open(t *testing.T, store access.Store) (a *access.Access, wall, ops access.Principal) {
	t.Helper()
	a, warnings := access.Open(access.Options{PublicURL: publicURL, Video: video, Store: store})
	if len(warnings) > 0 {
		t.Fatal(warnings)
	}
	return a, login(t, a, wallClear), login(t, a, opsClear)
}

var (
	wallToken, wallClear = viewer("wall", "edge1/*")
	opsToken, opsClear   = viewer("ops", "*")
)

func staticTokens() []access.Token {
	ops := opsToken
	ops.Role = access.Admin
	return []access.Token{wallToken, ops}
}

func login(t *testing.T, a *access.Access, clear string) access.Principal {
	t.Helper()
	a.Set(staticTokens())
	p, err := a.Authenticate(clear, here)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func video(camera string) (string, string) {
	if camera == "edge1/none" {
		return "", ""
	}
	return "front-door", guid
}

func mint(t *testing.T, a *access.Access, by access.Principal, camera string, lifetime time.Duration) (string, time.Time) {
	t.Helper()
	token, expires, err := a.MintContent(by, camera, lifetime)
	if err != nil {
		t.Fatal(err)
	}
	return token, expires
}

func TestMintContent(t *testing.T) {
	a, wall, _ := open(t, nil)
	begun := time.Now()
	token, expires := mint(t, a, wall, "edge1/front", 0)
	var claims map[string]any
	parsed, _, err := jwt.NewParser().ParseUnverified(token, jwt.MapClaims{})
	if err != nil {
		t.Fatal(err)
	}
	claims = parsed.Claims.(jwt.MapClaims)
	if parsed.Header["alg"] != "ES256" || len(parsed.Header["kid"].(string)) != 43 || strings.ContainsAny(token, "+/=") {
		t.Errorf("header %v of %s", parsed.Header, token)
	}
	got := map[string]any{}
	for _, name := range []string{"sub", "iss", "aud", "camera", "by"} {
		got[name] = claims[name]
	}
	if d := cmp.Diff(map[string]any{
		"sub": "front-door", "iss": publicURL, "camera": "edge1/front", "by": wall.ID,
		"aud": []any{publicURL + "/content/" + guid, "wss://gw.example.com/video/rtsp-tunnel/" + guid},
	}, got); d != "" {
		t.Error(d)
	}
	if id, _ := claims["jti"].(string); len(id) < 20 || claims["exp"] != float64(expires.Unix()) {
		t.Errorf("claims %v", claims)
	}
	if left := expires.Sub(begun); left < 59*time.Minute || left > time.Hour+time.Minute {
		t.Errorf("it lasts %v", left)
	}
	p, err := a.Authenticate(token, here)
	if err != nil {
		t.Fatal(err)
	}
	if p.Name != "wall" || p.ID != wall.ID || p.JTI != claims["jti"] || p.Kind != access.Content || p.Role != access.Viewer {
		t.Errorf("principal %+v", p)
	}
	if named, err := a.AuthenticateName("anything", token, here); err != nil || named.JTI != p.JTI {
		t.Errorf("with an account name: %v", err)
	}
}

// A content token allows live video and sound of one camera, and nothing else.
func TestContent_allowsOneCamera(t *testing.T) {
	a, wall, ops := open(t, nil)
	for _, by := range []access.Principal{wall, ops} {
		token, _ := mint(t, a, by, "edge1/front", 0)
		p, err := a.Authenticate(token, here)
		if err != nil {
			t.Fatal(err)
		}
		for action, allowed := range map[access.Action]bool{
			access.Watch: true, access.Listen: true, access.Talk: false, access.Archive: false,
			access.Export: false, access.Operate: false, access.Manage: false,
		} {
			for camera, its := range map[string]bool{
				"edge1/front": true, "edge1/front/sub": true, "edge1/back": false, "edge1/fron": false, "": false, "edge1": false, "*": false,
			} {
				if err := p.Grant(action, camera); (err == nil) != (allowed && its) {
					t.Errorf("%s: %s of %q: %v", by.Name, action, camera, err)
				}
			}
		}
		for name, try := range map[string]func() error{
			"another token": func() error { _, _, err := a.MintContent(p, "edge1/front", 0); return err },
			"a share": func() error {
				_, _, err := a.Share(p, access.NewShare{Camera: "edge1/front", End: time.Now().Add(time.Hour)})
				return err
			},
			"a cookie":   func() error { _, _, err := a.Cookie(p); return err },
			"a code":     func() error { _, _, err := a.OneTimeLogin(p, 0); return err },
			"all shares": func() error { _, err := a.Shares(p); return err },
		} {
			if err := try(); code(err) != reason.AccessDenied {
				t.Errorf("a content token makes %s: %v", name, err)
			}
		}
	}
	// A star in a camera's name is no glob.
	token, _ := mint(t, a, ops, "e*/x", 0)
	if p, err := a.Authenticate(token, here); err != nil || p.Grant(access.Watch, "edge1/x") == nil || p.Grant(access.Watch, "e*/x") != nil {
		t.Errorf("a star: %v", err)
	}
}

func TestMintContent_refuses(t *testing.T) {
	a, wall, _ := open(t, nil)
	gone := wall
	gone.ID = "0123456789abcdef"
	for name, c := range map[string]struct {
		by     access.Principal
		camera string
		want   reason.Code
	}{
		"another camera":         {wall, "edge2/front", reason.AccessDenied},
		"no camera":              {wall, "", reason.AccessDenied},
		"a removed token":        {gone, "edge1/front", reason.AccessLogin},
		"no principal":           {access.Principal{}, "edge1/front", reason.AccessLogin},
		"a camera without video": {wall, "edge1/none", reason.CameraUnknown},
	} {
		if token, _, err := a.MintContent(c.by, c.camera, 0); code(err) != c.want || token != "" {
			t.Errorf("%s: %q, %v, want %s", name, token, err, c.want)
		}
	}
}

// A token starts playbacks until it expires, with a leeway of 3 minutes. A playback goes on for
// 12 hours.
func TestContent_lifetimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, wall, _ := open(t, nil)
		begun := time.Now()
		for asked, want := range map[time.Duration]time.Duration{
			0: time.Hour, -time.Second: time.Hour, time.Minute: time.Minute, 24 * time.Hour: 24 * time.Hour, 1000 * time.Hour: 24 * time.Hour,
		} {
			if _, expires := mint(t, a, wall, "edge1/front", asked); !expires.Equal(begun.Add(want)) {
				t.Errorf("%v asked: it lasts %v, want %v", asked, expires.Sub(begun), want)
			}
		}
		token, _ := mint(t, a, wall, "edge1/front", 0)
		<-time.After(time.Hour + 3*time.Minute - time.Second)
		p, err := a.Authenticate(token, here)
		if err != nil || !p.Expires.Equal(time.Now().Add(12*time.Hour)) {
			t.Fatalf("at the end of the leeway: %v, the playback until %v", err, p.Expires)
		}
		<-time.After(time.Second)
		if _, err := a.Authenticate(token, here); code(err) != reason.AccessExpired {
			t.Errorf("after the leeway: %v", err)
		}
		<-time.After(12*time.Hour - 2*time.Second)
		if _, err := a.Current(p); err != nil {
			t.Errorf("the playback, before its end: %v", err)
		}
		<-time.After(time.Second)
		if _, err := a.Current(p); code(err) != reason.AccessExpired {
			t.Errorf("the playback, at its end: %v", err)
		}
	})
}

// A minter that expires takes its content tokens with it.
func TestContent_endsWithItsMinter(t *testing.T) {
	a, wall, _ := open(t, nil)
	token, _ := mint(t, a, wall, "edge1/front", 0)
	p, err := a.Authenticate(token, here)
	if err != nil {
		t.Fatal(err)
	}
	other, _ := viewer("wall", "edge1/*")
	narrower := wallToken
	narrower.Cameras = []string{"edge1/back"}
	renamed := wallToken
	renamed.Name = "hall"
	expired := wallToken
	expired.Expires = time.Now()
	for name, c := range map[string]struct {
		tokens []access.Token
		want   reason.Code
	}{
		"unchanged": {staticTokens(), ""},
		"removed":   {nil, reason.AccessLogin},
		"replaced":  {[]access.Token{other}, reason.AccessLogin},
		"narrower":  {[]access.Token{narrower}, reason.AccessDenied},
		"renamed":   {[]access.Token{renamed}, ""},
		"expired":   {[]access.Token{expired}, reason.AccessExpired},
	} {
		a.Set(c.tokens)
		if _, err := a.Authenticate(token, here); code(err) != c.want {
			t.Errorf("%s: a new playback: %v, want %q", name, err, c.want)
		}
		now, err := a.Current(p)
		if code(err) != c.want {
			t.Errorf("%s: the playback: %v, want %q", name, err, c.want)
		}
		if err == nil && now.Name != c.tokens[0].Name {
			t.Errorf("%s: the name is %s", name, now.Name)
		}
	}
	soon := wallToken
	soon.Expires = time.Now().Add(10 * time.Minute).Truncate(time.Second)
	a.Set([]access.Token{soon})
	token, expires, err := a.MintContent(wall, "edge1/front", time.Hour)
	if err != nil || !expires.Equal(soon.Expires) {
		t.Errorf("it lasts until %v, %v, its minter until %v", expires, err, soon.Expires)
	}
	if p, err := a.Authenticate(token, here); err != nil || !p.Expires.Equal(soon.Expires) {
		t.Errorf("its playback lasts until %v, %v", p.Expires, err)
	}
}

// forger makes tokens with a key that the test chooses.
type forger struct {
	method jwt.SigningMethod
	key    any
	header map[string]any
	claims jwt.MapClaims
}

func (f forger) token(t *testing.T) string {
	t.Helper()
	token := jwt.NewWithClaims(f.method, f.claims)
	maps.Copy(token.Header, f.header)
	text, err := token.SignedString(f.key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// spyStore is a store whose keys the test reads.
type spyStore struct{ *fakeStore }

func (s spyStore) key(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	var f struct{ Keys []struct{ Private []byte } }
	if err := json.Unmarshal(s.files["keys/signing"], &f); err != nil {
		t.Fatal(err)
	}
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), f.Keys[0].Private)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestContent_refusesForgeries(t *testing.T) {
	store := spyStore{newFakeStore()}
	a, wall, ops := open(t, store)
	elsewhere, _ := share(t, a, ops, "edge1/back", time.Hour)
	anothers, _ := share(t, a, ops, "edge1/front", time.Hour)
	good, _ := mint(t, a, wall, "edge1/front", 0)
	parsed, _, err := jwt.NewParser().ParseUnverified(good, jwt.MapClaims{})
	if err != nil {
		t.Fatal(err)
	}
	kid := parsed.Header["kid"]
	key := store.key(t)
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	// valid makes a valid token; the cases below change one thing of it.
	valid := func(change func(*forger)) string {
		f := forger{jwt.SigningMethodES256, key, map[string]any{"kid": kid}, maps.Clone(parsed.Claims.(jwt.MapClaims))}
		change(&f)
		return f.token(t)
	}
	claim := func(name string, value any) string {
		return valid(func(f *forger) {
			if f.claims[name] = value; value == nil {
				delete(f.claims, name)
			}
		})
	}
	now := time.Now()
	seconds := func(d time.Duration) float64 { return float64(now.Add(d).Unix()) }
	part := strings.Split(good, ".")
	b64 := base64.RawURLEncoding.EncodeToString
	for name, c := range map[string]struct {
		token string
		want  reason.Code
	}{
		"nothing changed":         {valid(func(*forger) {}), ""},
		"another key":             {valid(func(f *forger) { f.key = other }), reason.AccessLogin},
		"an unknown kid":          {valid(func(f *forger) { f.header["kid"] = "other" }), reason.AccessLogin},
		"no kid":                  {valid(func(f *forger) { f.header["kid"] = nil }), reason.AccessLogin},
		"a kid of another type":   {valid(func(f *forger) { f.header["kid"] = []int{1} }), reason.AccessLogin},
		"alg none":                {valid(func(f *forger) { f.method, f.key = jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType }), reason.AccessLogin},
		"HS256 by the public key": {valid(func(f *forger) { f.method, f.key = jwt.SigningMethodHS256, public }), reason.AccessLogin},
		"ES384":                   {valid(func(f *forger) { f.method, f.key = jwt.SigningMethodES384, p384 }), reason.AccessLogin},
		"another issuer":          {claim("iss", "https://other.example.com"), reason.AccessLogin},
		"no issuer":               {claim("iss", nil), reason.AccessLogin},
		"another audience":        {claim("aud", []string{"https://other.example.com/content/" + guid, "wss://gw.example.com/video/rtsp-tunnel/" + guid}), reason.AccessLogin},
		"another second audience": {claim("aud", []string{publicURL + "/content/" + guid, "wss://gw.example.com/rtsp-tunnel/" + guid}), reason.AccessLogin},
		"two videos":              {claim("aud", []string{publicURL + "/content/" + guid, "wss://gw.example.com/video/rtsp-tunnel/x"}), reason.AccessLogin},
		"one audience":            {claim("aud", publicURL+"/content/"+guid), reason.AccessLogin},
		"three audiences":         {claim("aud", []string{publicURL + "/content/x", "wss://gw.example.com/video/rtsp-tunnel/x", "x"}), reason.AccessLogin},
		"an empty video":          {claim("aud", []string{publicURL + "/content/", "wss://gw.example.com/video/rtsp-tunnel/"}), reason.AccessLogin},
		"no audience":             {claim("aud", nil), reason.AccessLogin},
		"no camera":               {claim("camera", nil), reason.AccessLogin},
		"no minter":               {claim("by", nil), reason.AccessLogin},
		"another minter":          {claim("by", "0123456789abcdef"), reason.AccessLogin},
		"an unknown share":        {claim("share", "x"), reason.AccessLogin},
		"another camera's share":  {valid(func(f *forger) { f.claims["share"], f.claims["by"] = elsewhere.ID, ops.ID }), reason.AccessLogin},
		"another's share":         {claim("share", anothers.ID), reason.AccessLogin},
		"a foreign camera":        {claim("camera", "edge2/front"), reason.AccessDenied},
		"no expiry":               {claim("exp", nil), reason.AccessLogin},
		"expired":                 {valid(func(f *forger) { f.claims["iat"], f.claims["exp"] = seconds(-time.Hour), seconds(-4*time.Minute) }), reason.AccessExpired},
		"expired and forged":      {valid(func(f *forger) { f.key, f.claims["exp"] = other, seconds(-time.Hour) }), reason.AccessLogin},
		"too long a life":         {claim("exp", seconds(25*time.Hour)), reason.AccessLogin},
		"made in the future":      {valid(func(f *forger) { f.claims["iat"], f.claims["exp"] = seconds(4*time.Minute), seconds(time.Hour) }), reason.AccessLogin},
		"made at no time":         {claim("iat", nil), reason.AccessLogin},
		"not valid yet":           {claim("nbf", seconds(time.Hour)), reason.AccessLogin},
		"claims of another type":  {claim("camera", 5), reason.AccessLogin},
		"other claims, old proof": {part[0] + "." + b64([]byte(`{"camera":"edge1/back"}`)) + "." + part[2], reason.AccessLogin},
		"no signature":            {part[0] + "." + part[1] + ".", reason.AccessLogin},
		"two parts":               {part[0] + "." + part[1], reason.AccessLogin},
		"four parts":              {good + ".x", reason.AccessLogin},
		"a line's end within":     {part[0] + "." + part[1] + "." + part[2][:4] + "\n" + part[2][4:], reason.AccessLogin},
		"padding":                 {good + "==", reason.AccessLogin},
		"a blank":                 {good + " ", reason.AccessLogin},
		"a signature of zeros":    {part[0] + "." + part[1] + "." + b64(make([]byte, 64)), reason.AccessLogin},
		"an empty header":         {"eyJ..", reason.AccessLogin},
		"no JSON":                 {"eyJhYWFh.eyJhYWFh." + part[2], reason.AccessLogin},
		"oversized":               {claim("more", strings.Repeat("x", 4096)), reason.AccessLogin},
		"a megabyte":              {"eyJ" + strings.Repeat(".", 1<<20), reason.AccessLogin},
		"nested":                  {"eyJ" + b64([]byte(strings.Repeat("[", 2000))) + "." + part[1] + "." + part[2], reason.AccessLogin},
	} {
		a, _ := access.Open(access.Options{PublicURL: publicURL, Video: video, Store: store}) // failures of its own
		a.Set(staticTokens())
		if _, err := a.Authenticate(c.token, here); code(err) != c.want {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		if failed := a.Counts().Failed; (failed == 1) != (c.want != "") {
			t.Errorf("%s: %d failures are counted", name, failed)
		}
	}
}

// A token of another gateway, and one from before another public URL, are invalid.
func TestContent_otherGateway(t *testing.T) {
	store := newFakeStore()
	a, wall, _ := open(t, store)
	token, _ := mint(t, a, wall, "edge1/front", 0)
	other, _, _ := open(t, nil)
	if _, err := other.Authenticate(token, here); code(err) != reason.AccessLogin {
		t.Errorf("another gateway: %v", err)
	}
	moved, _ := access.Open(access.Options{PublicURL: "https://new.example.com", Video: video, Store: store})
	moved.Set(staticTokens())
	if _, err := moved.Authenticate(token, here); code(err) != reason.AccessLogin {
		t.Errorf("another URL: %v", err)
	}
	restarted, _ := access.Open(access.Options{PublicURL: publicURL, Video: video, Store: store})
	restarted.Set(staticTokens())
	if _, err := restarted.Authenticate(token, here); err != nil {
		t.Errorf("after a restart: %v", err)
	}
}

// Failed content tokens are throttled, and a valid one passes.
func TestContent_throttles(t *testing.T) {
	a, wall, _ := open(t, nil)
	good, _ := mint(t, a, wall, "edge1/front", 0)
	for i := range 12 {
		_, err := a.Authenticate(good+"x", here)
		if want := i >= 10; (code(err) == reason.AccessThrottled) != want {
			t.Errorf("failure %d: %v", i+1, err)
		}
	}
	if _, err := a.Authenticate(good, here); err != nil {
		t.Errorf("a valid one: %v", err)
	}
}

func BenchmarkContent(b *testing.B) {
	token, hash := access.Generate()
	a := access.New([]access.Token{{Name: "ops", Role: access.Admin, Hash: hash}})
	by, err := a.Authenticate(token, here)
	if err != nil {
		b.Fatal(err)
	}
	content, _, err := a.MintContent(by, "edge1/front", 0)
	if err != nil {
		b.Fatal(err)
	}
	playback := a.Playback(by, "edge1/front")
	p, err := a.Authenticate(content, here)
	if err != nil {
		b.Fatal(err)
	}
	for name, f := range map[string]func() error{
		"mint":     func() error { _, _, err := a.MintContent(by, "edge1/front", 0); return err },
		"verify":   func() error { _, err := a.Authenticate(content, here); return err },
		"forged":   func() error { _, _ = a.Authenticate(content[:len(content)-4]+"AAAA", here); return nil },
		"playback": func() error { _, err := a.AuthenticatePlayback(playback, "edge1/front"); return err },
		"current":  func() error { _, err := a.Current(p); return err },
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if err := f(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
