package edge

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/url"
	"strconv"
	"time"
)

// tokens are how tokens are made.
type tokens struct {
	life time.Duration
	now  func() time.Time // the device's clock, by which the hub reads the expiry
}

// signer makes the HMAC-SHA256 of text by the identity's key, in base64.
type signer func(ctx context.Context, text string) (digest string, err error)

func hmacSigner(key []byte) signer {
	return func(_ context.Context, text string) (string, error) {
		mac := hmac.New(sha256.New, key)
		_, _ = mac.Write([]byte(text)) // never returns an error
		return base64.StdEncoding.EncodeToString(mac.Sum(nil)), nil
	}
}

// token is a SAS token for the identity alone (IoT Hub, "Control access with shared
// access signatures": resource, newline, expiry). The library's own are for the
// whole hub, which the edge hub refuses, or escaped once too often.
func (id Identity) token(ctx context.Context, t tokens, sign signer) (token string, expires time.Time, err error) {
	resource := id.HubHost + "/devices/" + url.QueryEscape(id.DeviceID)
	if id.ModuleID != "" {
		resource += "/modules/" + url.QueryEscape(id.ModuleID)
	}
	resource = url.QueryEscape(resource)
	expires = t.now().Add(t.life + time.Second - 1).Truncate(time.Second) // which is all that a token can say
	expiry := strconv.FormatInt(expires.Unix(), 10)
	digest, err := sign(ctx, resource+"\n"+expiry)
	if err != nil {
		return "", time.Time{}, err
	}
	return "SharedAccessSignature sr=" + resource + "&sig=" + url.QueryEscape(digest) + "&se=" + expiry, expires, nil
}
