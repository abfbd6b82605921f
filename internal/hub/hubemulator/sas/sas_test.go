package sas_test

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"net/url"
	"strings"
	"testing"
	"time"

	"rtsptunnel/internal/hub/hubemulator/sas"
)

const resource = "hub.example/devices/d1/modules/m1"

func newKey(tb testing.TB) string {
	tb.Helper()
	raw := make([]byte, 32)
	rand.Read(raw)
	return base64.StdEncoding.EncodeToString(raw)
}

func sign(tb testing.TB, resource, keyName, key string, expiry time.Time) string {
	tb.Helper()
	token, err := sas.Sign(resource, keyName, key, expiry)
	if err != nil {
		tb.Fatal(err)
	}
	return token
}

func TestSign_wireForm(t *testing.T) {
	got := sign(t, "hub/devices/d", "policy", base64.StdEncoding.EncodeToString([]byte("k")), time.Unix(1700000000, 0))
	if want := "SharedAccessSignature sr=hub%2Fdevices%2Fd&sig="; !strings.HasPrefix(got, want) {
		t.Errorf("got %q, want prefix %q", got, want)
	}
	if want := "&se=1700000000&skn=policy"; !strings.HasSuffix(got, want) {
		t.Errorf("got %q, want suffix %q", got, want)
	}
}

func TestSign_keyNotBase64(t *testing.T) {
	if _, err := sas.Sign(resource, "", "*", time.Unix(0, 0)); err == nil {
		t.Error("signed with a key that is not base64")
	}
}

func TestVerify(t *testing.T) {
	primary, secondary, other := newKey(t), newKey(t), newKey(t)
	now := time.Unix(1_700_000_000, 0)
	later, earlier := now.Add(time.Hour), now.Add(-time.Second)
	good := sign(t, resource, "", primary, later)

	tests := []struct {
		name  string
		token string
		want  error
	}{
		{"primary key", good, nil},
		{"secondary key", sign(t, resource, "", secondary, later), nil},
		{"sr escaped twice", sign(t, url.QueryEscape(resource), "", primary, later), nil},
		{"other key", sign(t, resource, "", other, later), sas.ErrSignature},
		{"sr changed after signing", strings.Replace(good, "m1", "m2", 1), sas.ErrSignature},
		{"se changed after signing", strings.Replace(good, "se=17", "se=18", 1), sas.ErrSignature},
		{"other module", sign(t, "hub.example/devices/d1/modules/m2", "", primary, later), sas.ErrAudience},
		{"other hub", sign(t, "hub2.example", "", primary, later), sas.ErrAudience},
		{"expired", sign(t, resource, "", primary, earlier), sas.ErrExpired},
		{"expires now", sign(t, resource, "", primary, now), sas.ErrExpired},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			token, err := sas.Parse(tt.token)
			if err != nil {
				t.Fatal(err)
			}
			if got := token.Verify(now, resource, primary, secondary, ""); !errors.Is(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestVerify_noKeys(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	token, err := sas.Parse(sign(t, resource, "", newKey(t), now.Add(time.Hour)))
	if err != nil {
		t.Fatal(err)
	}
	if got := token.Verify(now, resource, "", "not base64 *"); !errors.Is(got, sas.ErrSignature) {
		t.Errorf("got %v, want %v", got, sas.ErrSignature)
	}
}

func TestCovers(t *testing.T) {
	tests := []struct {
		resource, expected string
		want               bool
	}{
		{"hub", "hub/devices/d", true},
		{"hub/devices/d", "hub/devices/d", true},
		{"hub/devices/d", "hub/devices/d/modules/m", true},
		{"hub:8443", "hub/devices/d", true},
		{"hub/devices/d", "hub:8443/devices/d", true},
		{"HUB/Devices/D", "hub/devices/d", true},
		{"hub%2Fdevices%2Fd", "hub/devices/d", true},
		{"hub%252Fdevices%252Fd", "hub/devices/d", true},
		{"hub%2Fdevices%2Fa%2Bb", "hub/devices/a+b", true},
		{"hub%2Fdevices%2Fa%252Bb", "hub/devices/a%2Bb", true},
		{"hub/devices/d", "hub/devices/d2", false},
		{"hub/devices/d/modules/m", "hub/devices/d", false},
		{"hu", "hub/devices/d", false},
		{"", "hub/devices/d", false},
		{":8443", "hub/devices/d", false},
		{"hub/%zz", "hub/devices/d", false},
	}
	for _, tt := range tests {
		if got := sas.Covers(tt.resource, tt.expected); got != tt.want {
			t.Errorf("Covers(%q, %q) = %v, want %v", tt.resource, tt.expected, got, tt.want)
		}
	}
}

func TestParse_malformed(t *testing.T) {
	tests := map[string]string{
		"empty":           "",
		"no scheme":       "sr=a&sig=AAAA&se=1",
		"sr missing":      "SharedAccessSignature sig=AAAA&se=1",
		"sig missing":     "SharedAccessSignature sr=a&se=1",
		"se missing":      "SharedAccessSignature sr=a&sig=AAAA",
		"se not a number": "SharedAccessSignature sr=a&sig=AAAA&se=soon",
		"sig not base64":  "SharedAccessSignature sr=a&sig=**&se=1",
		"sig bad %":       "SharedAccessSignature sr=a&sig=%zz&se=1",
		"skn bad %":       "SharedAccessSignature sr=a&sig=AAAA&se=1&skn=%zz",
		"sr twice":        "SharedAccessSignature sr=a&sr=b&sig=AAAA&se=1",
		"too long":        "SharedAccessSignature sr=" + strings.Repeat("a", 5000) + "&sig=AAAA&se=1",
	}
	for name, text := range tests {
		t.Run(name, func(t *testing.T) {
			if _, err := sas.Parse(text); !errors.Is(err, sas.ErrMalformed) {
				t.Errorf("got %v, want %v", err, sas.ErrMalformed)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	key := newKey(f)
	f.Add(sign(f, resource, "", key, time.Unix(1_700_000_000, 0)))
	f.Add(sign(f, url.QueryEscape(resource), "iothubowner", key, time.Unix(1_700_000_000, 0)))
	f.Add("SharedAccessSignature sr=a&sig=AAAA&se=-1")
	f.Add("SharedAccessSignature sr=%252525&sig=%2B&se=99999999999999999999&=&&")
	f.Fuzz(func(t *testing.T, text string) {
		token, err := sas.Parse(text)
		if err != nil {
			if !errors.Is(err, sas.ErrMalformed) {
				t.Errorf("got %v, want %v", err, sas.ErrMalformed)
			}
			return
		}
		if token.Resource == "" {
			t.Error("parsed a token without a resource")
		}
		// A token must not be valid for a key that did not sign it, and Verify must return.
		if err := token.Verify(time.Unix(0, 0), resource, newKey(t)); err == nil {
			t.Error("accepted a token signed with another key")
		}
	})
}

// Operators ask for tokens that never expire with very large numbers.
func TestVerify_farExpiry(t *testing.T) {
	key := newKey(t)
	for _, se := range []int64{1 << 40, math.MaxInt64 - 62135596800, math.MaxInt64} {
		token, err := sas.Parse(signRaw(t, resource, key, se))
		if err != nil {
			t.Fatal(err)
		}
		if err := token.Verify(time.Now(), resource, key); err != nil {
			t.Errorf("se=%d: %v", se, err)
		}
		if y := token.Expiry.UTC().Year(); y != 9999 {
			t.Errorf("se=%d: expires in the year %d", se, y)
		}
	}
}

// signRaw signs a token with an expiry that may be beyond the range of time.Time.
func signRaw(t *testing.T, resource, key string, se int64) string {
	t.Helper()
	raw, err := base64.StdEncoding.DecodeString(key)
	if err != nil {
		t.Fatal(err)
	}
	sr := url.QueryEscape(resource)
	mac := hmac.New(sha256.New, raw)
	mac.Write(fmt.Appendf(nil, "%s\n%d", sr, se))
	sig := url.QueryEscape(base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	return fmt.Sprintf("SharedAccessSignature sr=%s&sig=%s&se=%d", sr, sig, se)
}
