// Package hubclient is IoT Hub's service REST API, as far as the project uses it:
// direct methods and twins of devices and modules. It is the one REST client of the
// project and serves against a real hub and the hub emulator alike.
//
// A line belongs here when it speaks that API for anybody. The package does not
// know our method, our model nor our properties: payloads and twins are JSON.
package hubclient

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	apiVersion    = "2021-04-12"
	tokenLifetime = time.Hour
	maxAnswer     = 4 << 20 // bytes; a twin has at most some 100 KB, a method's answer 128 KB
	slack         = 10 * time.Second
)

// Options are optional.
type Options struct {
	Roots *x509.CertPool // that sign the hub's certificate; the system's if nil
}

// Client calls one hub. It may be used by several goroutines.
type Client struct {
	host   string // with the port, if the connection string has one
	policy string
	key    []byte
	http   http.Client
}

// New returns a client for a hub's connection string with a shared access policy:
// HostName=...;SharedAccessKeyName=...;SharedAccessKey=... No error repeats it. The
// host may have a port, as a local emulator's has.
func New(connectionString string, o Options) (*Client, error) {
	parts := map[string]string{}
	for part := range strings.SplitSeq(connectionString, ";") {
		name, value, _ := strings.Cut(part, "=") // a key may end in =
		parts[strings.TrimSpace(name)] = strings.TrimSpace(value)
	}
	var missing []string
	for _, name := range []string{"HostName", "SharedAccessKeyName", "SharedAccessKey"} {
		if parts[name] == "" {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("hub connection string: no %s in it", strings.Join(missing, ", "))
	}
	key, err := base64.StdEncoding.DecodeString(parts["SharedAccessKey"])
	if err != nil {
		return nil, errors.New("hub connection string: SharedAccessKey is not base64")
	}
	return &Client{
		host: parts["HostName"], policy: parts["SharedAccessKeyName"], key: key,
		http: http.Client{
			CheckRedirect: noRedirect,
			Transport: &http.Transport{
				Proxy:               http.ProxyFromEnvironment,
				DialContext:         (&net.Dialer{Timeout: slack}).DialContext,
				TLSClientConfig:     &tls.Config{RootCAs: o.Roots, MinVersion: tls.VersionTLS12},
				TLSHandshakeTimeout: slack,
				IdleConnTimeout:     time.Minute,
			},
		},
	}, nil
}

// noRedirect: a hub redirects nobody, and a payload or a token must not be sent on.
func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// Close closes the connections that are idle.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Identity addresses a module, or a device if Module is empty.
type Identity struct{ Device, Module string }

func (i Identity) path() string {
	p := "/twins/" + url.PathEscape(i.Device)
	if i.Module != "" {
		p += "/modules/" + url.PathEscape(i.Module)
	}
	return p
}

// String is device, or device/module.
func (i Identity) String() string {
	if i.Module == "" {
		return i.Device
	}
	return i.Device + "/" + i.Module
}

// Error is an answer of the hub that is not a success. Match it by errors.AsType.
type Error struct {
	Status  int    // HTTP status
	Code    string // the hub's own, of the header iothub-errorcode: DeviceNotOnline; may be empty
	Message string
}

// Error has what an operator needs to look it up.
func (e *Error) Error() string {
	return fmt.Sprintf("the hub answered %d %s: %s", e.Status, e.Code, e.Message)
}

// do sends one request and reads a 2xx answer's JSON into answer.
func (c *Client) do(ctx context.Context, method, path string, header http.Header, body []byte, answer any) error {
	u := "https://" + c.host + path + "?api-version=" + apiVersion
	req, err := http.NewRequestWithContext(ctx, method, u, bytes.NewReader(body))
	if err != nil {
		return err
	}
	maps.Copy(req.Header, header)
	req.Header.Set("Authorization", c.token(time.Now().Add(tokenLifetime)))
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	resp, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return err
	}
	if resp.StatusCode/100 != 2 {
		return failure(resp, b)
	}
	return json.Unmarshal(b, answer)
}

func failure(resp *http.Response, body []byte) error {
	var b struct{ Message string }
	if json.Unmarshal(body, &b) != nil || b.Message == "" {
		b.Message = http.StatusText(resp.StatusCode)
	}
	return &Error{Status: resp.StatusCode, Code: resp.Header.Get("iothub-errorcode"), Message: b.Message}
}

// token is a SAS token for the whole hub ("Control access with shared access
// signatures").
func (c *Client) token(expiry time.Time) string {
	resource, se := url.QueryEscape(c.host), strconv.FormatInt(expiry.Unix(), 10)
	mac := hmac.New(sha256.New, c.key)
	_, _ = mac.Write([]byte(resource + "\n" + se))
	sig := base64.StdEncoding.EncodeToString(mac.Sum(nil))
	return "SharedAccessSignature sr=" + resource + "&sig=" + url.QueryEscape(sig) + "&se=" + se + "&skn=" + url.QueryEscape(c.policy)
}
