package hubconn

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/url"
	"strconv"
	"time"
)

// tokens are the settings of SAS tokens.
type tokens struct {
	life time.Duration
	now  func() time.Time // the device's clock, by which the hub reads the expiry
}

// signer returns the HMAC-SHA256 of text with the identity's key, in base64.
type signer func(ctx context.Context, text string) (digest string, err error)

func hmacSigner(key []byte) signer {
	return func(_ context.Context, text string) (string, error) {
		mac := hmac.New(sha256.New, key)
		_, _ = mac.Write([]byte(text)) // never returns an error
		return base64.StdEncoding.EncodeToString(mac.Sum(nil)), nil
	}
}

// tokenCredentials returns credentials with a SAS token for the identity alone, and no
// roots (IoT Hub, "Control access with shared access signatures": resource, newline,
// expiry). The library's own tokens are for the whole hub, which the edge hub refuses, or
// are escaped once too often.
func (id Identity) tokenCredentials(ctx context.Context, t tokens, sign signer) (Credentials, error) {
	resource := id.HubHost + "/devices/" + url.QueryEscape(id.DeviceID)
	if id.ModuleID != "" {
		resource += "/modules/" + url.QueryEscape(id.ModuleID)
	}
	resource = url.QueryEscape(resource)
	expires := t.now().Add(t.life + time.Second - 1).Truncate(time.Second) // a token has whole seconds
	expiry := strconv.FormatInt(expires.Unix(), 10)
	digest, err := sign(ctx, resource+"\n"+expiry)
	if err != nil {
		return Credentials{}, err
	}
	token := "SharedAccessSignature sr=" + resource + "&sig=" + url.QueryEscape(digest) + "&se=" + expiry
	return Credentials{Expires: expires, Lifetime: t.life, password: token}, nil
}
