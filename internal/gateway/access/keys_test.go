package access_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/access"
)

// published returns the kids of the public keys.
func published(t *testing.T, a *access.Access) []string {
	t.Helper()
	var set struct{ Keys []map[string]string }
	if err := json.Unmarshal(a.JWKS(), &set); err != nil {
		t.Fatal(err)
	}
	var kids []string
	for _, k := range set.Keys {
		if k["kty"] != "EC" || k["crv"] != "P-256" || k["use"] != "sig" || k["alg"] != "ES256" || len(k) != 7 || len(k["x"]) != 43 || len(k["y"]) != 43 {
			t.Errorf("key %v", k)
		}
		sum := sha256.Sum256(fmt.Appendf(nil, `{"crv":"P-256","kty":"EC","x":%q,"y":%q}`, k["x"], k["y"]))
		if want := base64.RawURLEncoding.EncodeToString(sum[:]); k["kid"] != want {
			t.Errorf("kid %s, want %s", k["kid"], want)
		}
		kids = append(kids, k["kid"])
	}
	return kids
}

func kidOf(t *testing.T, token string) string {
	t.Helper()
	parsed, _, err := jwt.NewParser().ParseUnverified(token, jwt.MapClaims{})
	if err != nil {
		t.Fatal(err)
	}
	return parsed.Header["kid"].(string)
}

// tend lets time pass, and calls Tend every hour.
func tend(t *testing.T, a *access.Access, d time.Duration) {
	t.Helper()
	for d > 0 {
		step := min(d, time.Hour)
		<-time.After(step)
		if err := a.Tend(); err != nil {
			t.Fatal(err)
		}
		d -= step
	}
}

const day = 24 * time.Hour

// A key is published a day before it signs, signs for 30 days, and verifies what it signed for
// the longest life of a token.
func TestKeys_rotate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newFakeStore()
		a, wall, _ := open(t, store)
		first := published(t, a)
		if len(first) != 1 {
			t.Fatalf("%d keys are published", len(first))
		}
		tend(t, a, 29*day-time.Hour)
		if len(published(t, a)) != 1 {
			t.Error("a second key is published too early")
		}
		tend(t, a, time.Hour)
		both := published(t, a)
		if len(both) != 2 || both[0] != first[0] {
			t.Fatalf("after 29 days, the keys are %v", both)
		}
		restarted, _, _ := open(t, store)
		if fmt.Sprint(published(t, restarted)) != fmt.Sprint(both) {
			t.Error("the next key is not saved")
		}
		tend(t, a, day-time.Second)
		token, _ := mint(t, a, wall, "edge1/front", day)
		if kidOf(t, token) != both[0] {
			t.Error("the next key signs too early")
		}
		value, _, err := a.Cookie(wall)
		if err != nil {
			t.Fatal(err)
		}
		text := a.Playback(wall, "edge1/front")
		tend(t, a, time.Second)
		if fresh, _ := mint(t, a, wall, "edge1/front", 0); kidOf(t, fresh) != both[1] {
			t.Error("the next key does not sign")
		}
		tend(t, a, 12*time.Hour-2*time.Second)
		for name, err := range map[string]error{
			"a cookie":   second(a.AuthenticateCookie(value)),
			"a playback": second(a.AuthenticatePlayback(text, "edge1/front")),
			"a token":    second(a.Authenticate(token, here)),
		} {
			if err != nil {
				t.Errorf("%s of the first key: %v", name, err)
			}
		}
		tend(t, a, 12*time.Hour+3*time.Minute)
		if _, err := a.Authenticate(token, here); err != nil {
			t.Errorf("a token of a day, within its leeway: %v", err)
		}
		tend(t, a, 2*time.Hour)
		if now := published(t, a); len(now) != 1 || now[0] != both[1] {
			t.Errorf("the keys are %v", now)
		}
		tend(t, a, 90*day)
		if n := len(published(t, a)); n > 2 {
			t.Errorf("%d keys are kept", n)
		}
	})
}

// A gateway that was off for long signs with its old key while the next one is published.
func TestKeys_afterLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newFakeStore()
		old, _, _ := open(t, store)
		<-time.After(365 * day)
		a, wall, _ := open(t, store)
		both := published(t, a)
		if len(both) != 2 || both[0] != published(t, old)[0] {
			t.Fatalf("keys %v", both)
		}
		token, _ := mint(t, a, wall, "edge1/front", 0)
		if kidOf(t, token) != both[0] {
			t.Error("the new key signs before others know it")
		}
		tend(t, a, day)
		if token, _ := mint(t, a, wall, "edge1/front", 0); kidOf(t, token) != both[1] {
			t.Error("the new key does not sign after a day")
		}
	})
}

// What a clock in the future has signed does not outlive the correction, and rotation goes on.
func TestKeys_clockWasInTheFuture(t *testing.T) {
	var store *fakeStore
	var token, value, text string
	synctest.Test(t, func(t *testing.T) {
		<-time.After(365 * day)
		var wall access.Principal
		var a *access.Access
		store = newFakeStore()
		a, wall, _ = open(t, store)
		tend(t, a, 29*day) // the next key is there, too
		token, _ = mint(t, a, wall, "edge1/front", 0)
		value, _, _ = a.Cookie(wall)
		text = a.Playback(wall, "edge1/front")
	})
	synctest.Test(t, func(t *testing.T) { // begins a year earlier
		a, wall, _ := open(t, store)
		for name, err := range map[string]error{
			"a token":    second(a.Authenticate(token, here)),
			"a cookie":   second(a.AuthenticateCookie(value)),
			"a playback": second(a.AuthenticatePlayback(text, "edge1/front")),
		} {
			if code(err) != reason.AccessLogin {
				t.Errorf("%s from the future: %v", name, err)
			}
		}
		both := published(t, a)
		fresh, _ := mint(t, a, wall, "edge1/front", 0)
		if _, err := a.Authenticate(fresh, here); err != nil || kidOf(t, fresh) != both[0] {
			t.Errorf("a token of now: %v", err)
		}
		tend(t, a, 3*day)
		if fresh, _ := mint(t, a, wall, "edge1/front", 0); kidOf(t, fresh) != both[1] {
			t.Error("rotation has stopped")
		}
		if n := len(published(t, a)); n != 1 {
			t.Errorf("%d keys are left", n)
		}
	})
}

// A file that is damaged is set aside, and the gateway starts with new keys and a warning.
func TestOpen_damagedFiles(t *testing.T) {
	store := newFakeStore()
	a, wall, _ := sharing(t, store)
	token, _ := mint(t, a, wall, "edge1/front", 0)
	_, secret := share(t, a, wall, "edge1/front", time.Hour)
	if err := a.EndCookies(wall); err != nil {
		t.Fatal(err)
	}
	valid := map[string]string{}
	for file, content := range store.files {
		valid[file] = string(content)
	}
	if len(valid) != 3 {
		t.Fatalf("%d files", len(valid))
	}
	one := strings.TrimSuffix(strings.TrimPrefix(valid["keys/signing"], `{"version":1,"keys":[`), "]}")
	many := `{"version":1,"keys":[` + strings.Repeat(one+",", 8) + one + `]}`
	hundreds := strings.TrimSuffix(strings.TrimPrefix(valid["shares.json"], "["), "]")
	hundreds = "[" + strings.Repeat(hundreds+",", 1000) + hundreds + "]"
	for file, contents := range map[string][]string{
		"keys/signing": {
			"", "{", "null", "[]", `{"version":1}`, strings.Replace(valid["keys/signing"], `"version":1`, `"version":2`, 1),
			`{"version":1,"keys":[{"from":"2026-01-01T00:00:00Z","private":"AAAA"}]}`, many, valid["keys/signing"][:40],
		},
		"shares.json": {
			"", "{", `{"a":1}`, `[{"id":"x"}]`, strings.Replace(valid["shares.json"], `"sha256": "`, `"sha256": "x`, 1),
			strings.Replace(valid["shares.json"], `"end": "20`, `"end": "21`, 1), valid["shares.json"][:40], hundreds,
		},
		"cookies.json": {"", "[", `{"a":-1}`, `{"a":"b"}`, valid["cookies.json"][:5]},
	} {
		for _, content := range contents {
			broken := newFakeStore()
			for name, kept := range valid {
				broken.files[name] = []byte(kept)
			}
			broken.files[file] = []byte(content)
			a, warnings := access.Open(access.Options{PublicURL: publicURL, Video: video, Store: broken})
			a.Set(sharingTokens())
			if len(warnings) != 1 || !strings.Contains(warnings[0].Error(), file+".damaged") {
				t.Errorf("%s is %.20q: warnings %v", file, content, warnings)
			}
			if string(broken.files[file+".damaged"]) != content {
				t.Errorf("%s is %.20q: it is not kept", file, content)
			}
			_, tokenErr := a.Authenticate(token, here)
			shareErr := third(a.OpenShare(secret, here))
			if (tokenErr != nil) != (file == "keys/signing") || (shareErr != nil) != (file == "shares.json") {
				t.Errorf("%s is %.20q: the token: %v; the share: %v", file, content, tokenErr, shareErr)
			}
			if fresh, _, err := a.MintContent(wall, "edge1/front", 0); err != nil || second(a.Authenticate(fresh, here)) != nil {
				t.Errorf("%s is %.20q: a new token: %v", file, content, err)
			}
			for _, w := range warnings {
				if strings.Contains(w.Error(), "AAAA") {
					t.Errorf("the warning shows the file: %v", w)
				}
			}
		}
	}
}

// A folder that takes nothing leaves the keys in memory. A key that is not saved does not sign
// if there is another, and the old one is kept for as long as what it signs.
func TestKeys_fullFolder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		full := newFakeStore()
		full.full = true
		a, warnings := access.Open(access.Options{PublicURL: publicURL, Video: video, Store: full})
		if len(warnings) != 1 {
			t.Errorf("warnings %v", warnings)
		}
		wall := login(t, a, wallClear)
		token, _ := mint(t, a, wall, "edge1/front", 0)
		full.setFull(false)
		if err := a.Tend(); err != nil {
			t.Fatal(err)
		}
		restarted, _, _ := open(t, full)
		if _, err := restarted.Authenticate(token, here); err != nil {
			t.Errorf("after a restart: %v", err)
		}
		tend(t, a, 29*day-time.Hour)
		full.setFull(true)
		<-time.After(3 * day)
		for range 2 {
			if a.Tend() == nil {
				t.Error("Tend saved to a full folder")
			}
		}
		both := published(t, a)
		token, _ = mint(t, a, wall, "edge1/front", day)
		if len(both) != 2 || kidOf(t, token) != both[0] {
			t.Errorf("of %v, %s signs", both, kidOf(t, token))
		}
		<-time.After(3 * day)
		if token, _ = mint(t, a, wall, "edge1/front", day); kidOf(t, token) != both[0] {
			t.Error("a key signs that is not saved")
		}
		full.setFull(false)
		if err := a.Tend(); err != nil {
			t.Fatal(err)
		}
		tend(t, a, day)
		if _, err := a.Authenticate(token, here); err != nil {
			t.Errorf("a token of a day, that the old key has signed: %v", err)
		}
		if fresh, _ := mint(t, a, wall, "edge1/front", 0); kidOf(t, fresh) != both[1] {
			t.Error("the saved key does not sign")
		}
		tend(t, a, 2*time.Hour)
		if now := published(t, a); len(now) != 1 || now[0] != both[1] {
			t.Errorf("the keys are %v", now)
		}
	})
}
