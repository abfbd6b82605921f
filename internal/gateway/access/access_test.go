package access_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/access"
	"rtsptunnel/internal/gateway/failure"
	"rtsptunnel/internal/testkit/logtest"
)

var here = netip.MustParseAddr("192.0.2.1")

// viewer returns a viewer's token with these cameras, and its clear text.
func viewer(name string, cameras ...string) (access.Token, string) {
	clear, hash := access.Generate()
	return access.Token{Name: name, Role: access.Viewer, Cameras: cameras, Hash: hash}, clear
}

func code(err error) reason.Code {
	if err == nil {
		return ""
	}
	f := failure.Of(err)
	if f.Hop != failure.Viewer {
		return "hop " + reason.Code(f.Hop)
	}
	return f.Reason
}

func TestAuthenticate(t *testing.T) {
	wall, wallToken := viewer("wall", "edge1/*")
	old, oldToken := viewer("old", "*")
	old.Expires = time.Now().Add(-time.Second)
	opsToken, opsHash := access.Generate()
	ops := access.Token{Name: "ops", Role: access.Admin, Hash: opsHash, Expires: time.Now().Add(time.Hour)}
	stranger, _ := access.Generate()
	a := access.New([]access.Token{wall, old, ops})
	for name, c := range map[string]struct {
		account, token string
		want           access.Principal
		code           reason.Code
	}{
		"a viewer":           {"", wallToken, access.Principal{Name: "wall", Role: access.Viewer, Cameras: []string{"edge1/*"}}, ""},
		"an admin":           {"", opsToken, access.Principal{Name: "ops", Role: access.Admin, Cameras: []string{"*"}, Expires: ops.Expires, MayShare: true}, ""},
		"with its name":      {"wall", wallToken, access.Principal{Name: "wall", Role: access.Viewer, Cameras: []string{"edge1/*"}}, ""},
		"another's name":     {"ops", wallToken, access.Principal{}, reason.AccessLogin},
		"expired":            {"", oldToken, access.Principal{}, reason.AccessExpired},
		"no token":           {"wall", "", access.Principal{}, reason.AccessLogin},
		"unknown":            {"", stranger, access.Principal{}, reason.AccessLogin},
		"the hash":           {"", wall.Hash.String(), access.Principal{}, reason.AccessLogin},
		"without the prefix": {"", wallToken[4:], access.Principal{}, reason.AccessLogin},
		"with a tail":        {"", wallToken + "A", access.Principal{}, reason.AccessLogin},
		"long":               {"", strings.Repeat("rtt_", 1<<20), access.Principal{}, reason.AccessLogin},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := a.AuthenticateName(c.account, c.token, here)
			if code(err) != c.code {
				t.Fatalf("error %v, want %q", err, c.code)
			}
			if (got.ID == "") != (err != nil) {
				t.Errorf("id %q with error %v", got.ID, err)
			}
			got.ID = ""
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
		})
	}
	if got := a.Counts(); got.Failed != 7 || got.Throttled != 0 {
		t.Errorf("counts %+v, want 7 failed", got)
	}
}

// Set replaces the tokens at once, and Current shows what became of a principal.
func TestSet_current(t *testing.T) {
	wall, clear := viewer("wall", "edge1/*")
	a := access.New([]access.Token{wall})
	p, err := a.Authenticate(clear, here)
	if err != nil {
		t.Fatal(err)
	}
	replaced, _ := viewer("wall", "*")
	expired := wall
	expired.Expires = time.Now()
	wider := wall
	wider.Cameras = []string{"*"}
	renamed := wall
	renamed.Name = "hall"
	for name, c := range map[string]struct {
		tokens []access.Token
		want   reason.Code
	}{
		"unchanged": {[]access.Token{wall}, ""},
		"wider":     {[]access.Token{wider}, ""},
		"replaced":  {[]access.Token{replaced}, reason.AccessLogin},
		"removed":   {nil, reason.AccessLogin},
		"renamed":   {[]access.Token{renamed}, reason.AccessLogin},
		"expired":   {[]access.Token{expired}, reason.AccessExpired},
	} {
		a.Set(c.tokens)
		now, err := a.Current(p)
		if code(err) != c.want {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		if err == nil && !cmp.Equal(now.Cameras, c.tokens[0].Cameras) {
			t.Errorf("%s: cameras %v", name, now.Cameras)
		}
	}
}

func TestDigestSecret(t *testing.T) {
	clear, hash := access.Generate()
	kept := access.Token{Name: "nvr", Role: access.Viewer, Cameras: []string{"edge1/*"}, Hash: hash, Secret: access.Secret(clear)}
	hidden, _ := viewer("wall", "*")
	a := access.New([]access.Token{kept, hidden})
	if secret, ok := a.DigestSecret("nvr"); !ok || secret != clear {
		t.Error("the clear token is not returned")
	}
	if _, ok := a.DigestSecret("wall"); ok {
		t.Error("a token has a secret that is not kept")
	}
	if !a.OffersDigest("edge1/front") || !a.OffersDigest("edge1/front/sub") || a.OffersDigest("edge2/front") {
		t.Error("Digest is offered for other cameras than those of the token")
	}
}

// The eleventh failure in a minute is throttled, a valid token passes, and one failure in six
// seconds is free again.
func TestAuthenticate_throttlesAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wall, clear := viewer("wall", "*")
		a := access.New([]access.Token{wall})
		fail := func(from netip.Addr) error { _, err := a.Authenticate("rtt_wrong", from); return err }
		for range 10 {
			if err := fail(here); code(err) != reason.AccessLogin {
				t.Fatal(err)
			}
		}
		err := fail(here)
		if want := time.Now().Add(6 * time.Second); code(err) != reason.AccessThrottled || !failure.Of(err).RetryAt.Equal(want) {
			t.Errorf("the eleventh failure is %v, next at %v, want %v", err, failure.Of(err).RetryAt, want)
		}
		if _, err := a.Authenticate(clear, here); err != nil {
			t.Errorf("a valid token: %v", err)
		}
		if _, err := a.Authenticate("", here); code(err) != reason.AccessLogin {
			t.Errorf("no token: %v", err)
		}
		if err := fail(netip.MustParseAddr("192.0.2.2")); code(err) != reason.AccessLogin {
			t.Errorf("another address: %v", err)
		}
		if err := fail(netip.MustParseAddr("::ffff:192.0.2.1")); code(err) != reason.AccessThrottled {
			t.Errorf("the address as IPv6: %v", err)
		}
		<-time.After(6 * time.Second)
		if first, second := code(fail(here)), code(fail(here)); first != reason.AccessLogin || second != reason.AccessThrottled {
			t.Errorf("six seconds later: %s, %s", first, second)
		}
		if got := a.Counts(); got.Throttled != 3 {
			t.Errorf("%d throttled, want 3", got.Throttled)
		}
	})
}

func TestAuthenticate_throttlesNetwork(t *testing.T) {
	a := access.New(nil)
	for i := range 11 {
		_, err := a.Authenticate("rtt_wrong", netip.MustParseAddr(fmt.Sprintf("2001:db8::%x:1%%eth0", i)))
		if want := i == 10; (code(err) == reason.AccessThrottled) != want {
			t.Errorf("failure %d of a network: %v", i+1, err)
		}
	}
	if _, err := a.Authenticate("rtt_wrong", netip.MustParseAddr("2001:db8:0:1::1")); code(err) != reason.AccessLogin {
		t.Errorf("the next network: %v", err)
	}
}

// An account is throttled over all addresses, whether there is a token of the name or not.
func TestAuthenticate_throttlesAccount(t *testing.T) {
	wall, clear := viewer("wall", "*")
	a := access.New([]access.Token{wall})
	for _, name := range []string{"wall", "unknown"} {
		for i := range 31 {
			from := netip.AddrFrom4([4]byte{10, 0, 0, byte(i)})
			_, err := a.AuthenticateName(name, "rtt_wrong", from)
			if want := i == 30; (code(err) == reason.AccessThrottled) != want {
				t.Errorf("%s: failure %d: %v", name, i+1, err)
			}
		}
	}
	if _, err := a.AuthenticateName("wall", clear, here); err != nil {
		t.Errorf("a valid token: %v", err)
	}
}

// No error and no printed token has a secret.
func TestErrors_holdNoSecret(t *testing.T) {
	clear, hash := access.Generate()
	other, _ := access.Generate()
	token := access.Token{Name: "nvr", Role: access.Viewer, Cameras: []string{"*"}, Hash: hash, Secret: access.Secret(clear)}
	a := access.New([]access.Token{token})
	var all []error
	for range 12 {
		_, err := a.AuthenticateName("nvr", other, here)
		all = append(all, err)
	}
	_, err := a.AuthenticateName("another", clear, here)
	all = append(all, err)
	_, err = access.HashOf(clear + "x")
	all = append(all, err)
	_, err = access.ParseHash(clear)
	all = append(all, err)
	_, err = access.ParseHash(other + strings.Repeat("-", 64-len(other)))
	all = append(all, err)
	token.Secret = access.Secret(other)
	all = append(all, access.Check([]access.Token{token, token}))
	for _, err := range all {
		if err == nil {
			t.Fatal("an error is missing")
		}
	}
	asJSON, err := json.Marshal(token.Secret)
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("%+v %#v %s %s %q %x", errors.Join(all...), token.Secret, token.Secret, asJSON, token.Secret, token.Secret)
	for _, secret := range []string{clear, other, fmt.Sprintf("%x", other), hash.String()} {
		if strings.Contains(text, secret) {
			t.Errorf("a secret is in %s", text)
		}
	}
	logtest.NoSecret(t, text)
}
