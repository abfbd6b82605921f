package access_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/access"
)

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
		for _, secret := range []string{clear, "rts_" + clear[4:], "rto_" + clear[4:], "rtc_" + clear[4:], "rtp_" + clear[4:], jwtLike, "token." + clear[4:]} {
			if got := access.Redact(before + secret + text); strings.Contains(got, secret[9:]) {
				t.Errorf("%q is shown as %q", before+secret+text, got)
			}
		}
	})
}

// No text but the valid ones is a token, a cookie, a mark, a code or a secret of a share, also
// if one byte of a valid text is replaced.
func FuzzAuthenticate(f *testing.F) {
	a, _ := access.Open(access.Options{PublicURL: publicURL, Video: video})
	a.Set(staticTokens())
	ops, err := a.Authenticate(opsClear, here)
	if err != nil {
		f.Fatal(err)
	}
	token, _, err := a.MintContent(ops, "edge1/front", 0)
	if err != nil {
		f.Fatal(err)
	}
	value, _, err := a.Cookie(ops)
	if err != nil {
		f.Fatal(err)
	}
	_, secret, err := a.Share(ops, access.NewShare{Camera: "edge1/front", End: time.Now().Add(time.Hour)})
	if err != nil {
		f.Fatal(err)
	}
	valid := []string{token, value, a.Playback(ops, "edge1/front"), secret, opsClear, wallClear}
	for i, text := range valid {
		f.Add(text, uint16(i*20), byte('A'))
	}
	f.Add("eyJhbGciOiJub25lIn0.e30.", uint16(4), byte('.'))
	f.Fuzz(func(t *testing.T, text string, at uint16, with byte) {
		texts := []string{text}
		for _, one := range append(valid, text) {
			if int(at) < len(one) && one[at] != with {
				texts = append(texts, one[:at]+string([]byte{with})+one[at+1:])
			}
		}
		for _, text := range texts {
			check(t, a, text, valid)
		}
	})
}

func check(t *testing.T, a *access.Access, text string, valid []string) {
	t.Helper()
	if slices.Contains(valid, text) {
		return
	}
	_, cookieErr := a.AuthenticateCookie(text)
	_, playbackErr := a.AuthenticatePlayback(text, "edge1/front")
	_, tokenErr := a.Authenticate(text, here)
	_, codeErr := a.Redeem(text, here)
	for name, err := range map[string]error{
		"cookie": cookieErr, "playback": playbackErr, "token": tokenErr, "code": codeErr, "share": third(a.OpenShare(text, here)),
	} {
		if got := code(err); got != reason.AccessLogin && got != reason.AccessThrottled {
			t.Errorf("%q is a %s: %v", text, name, err)
		}
	}
}
