package access

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"time"
)

// mark is what a signed value says: a playback or a login of a browser. Its text is a prefix
// and base64url of the first bytes of the key's id, HMAC-SHA-256, and the mark as JSON. Times
// are seconds since 1970.
type mark struct {
	By     string `json:"i"`           // the ID of the principal
	Camera string `json:"c,omitempty"` // of a playback
	Share  string `json:"s,omitempty"`
	Begin  int64  `json:"b"`
	End    int64  `json:"e"`
	// Session is not zero if the value ends with the logins of the account: a login, or a
	// playback that one has started.
	Session uint64 `json:"n,omitempty"`
}

const (
	markMost = 2048 // bytes of a text: the longest names take less
	kidBytes = 8    // of a key's id in a text
)

var (
	errMark    = errors.New("the value is not signed by this gateway")
	errMarkEnd = errors.New("the value has ended")
)

// prefixes begin the texts of marks, so that scanners and Redact find them.
var prefixes = map[purpose]string{forPlayback: playbackPrefix, forCookie: cookiePrefix}

// sign returns the text of a mark.
func (s *keySet) sign(p purpose, m mark, now time.Time) string {
	k := s.signing(now)
	payload, _ := json.Marshal(m) // texts and numbers: it never fails
	raw := append([]byte(k.kid[:kidBytes]), k.mac(p, payload)...)
	return prefixes[p] + base64.RawURLEncoding.EncodeToString(append(raw, payload...))
}

func (k *key) mac(p purpose, payload []byte) []byte {
	mac := hmac.New(sha256.New, k.macs[p])
	mac.Write(payload)
	return mac.Sum(nil)
}

// verify returns the mark of a text that a key of the set has signed for this purpose, and that
// lasts now. The error is errMarkEnd if it has ended. The mark lasts for most at the longest: one
// that a wrong clock has made does not outlive the correction.
func (s *keySet) verify(p purpose, text string, most time.Duration, now time.Time) (mark, error) {
	encoded, ok := strings.CutPrefix(text, prefixes[p])
	if !ok || len(text) > markMost || strings.ContainsFunc(encoded, notBase64URL) {
		return mark{}, errMark
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	if err != nil || len(raw) < kidBytes+sha256.Size {
		return mark{}, errMark
	}
	kid, sum, payload := raw[:kidBytes], raw[kidBytes:kidBytes+sha256.Size], raw[kidBytes+sha256.Size:]
	var m mark
	if !s.signed(p, string(kid), sum, payload) || json.Unmarshal(payload, &m) != nil {
		return mark{}, errMark
	}
	begin, end := time.Unix(m.Begin, 0), time.Unix(m.End, 0)
	switch {
	case begin.After(now.Add(leeway)), end.Sub(begin) > most:
		return mark{}, errMark
	case !now.Before(end):
		return mark{}, errMarkEnd
	}
	return m, nil
}

func (s *keySet) signed(p purpose, kid string, sum, payload []byte) bool {
	for _, k := range s.keys {
		if k.kid[:kidBytes] == kid {
			return hmac.Equal(sum, k.mac(p, payload))
		}
	}
	return false
}
