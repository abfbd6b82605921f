// Package hubclient is IoT Hub's service REST API, as far as the project uses it: the
// registry of devices and modules, their twins, direct methods and queries. It is the
// one REST client of the project and serves against a real hub and the hub emulator
// alike.
//
// A line belongs here when it speaks that API for anybody. The package does not
// know our method, our model nor our properties: payloads and twins are JSON.
//
// The keys it handles, the policy's and those of devices, stand in no error it
// returns, and it logs nothing.
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
	maxAnswer     = 32 << 20 // bytes; a full page of a query or of devices; a twin has at most some 100 KB
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
	if u, err := url.Parse("https://" + parts["HostName"]); err != nil || u.Host != parts["HostName"] {
		return nil, errors.New("hub connection string: HostName is neither a host nor host:port")
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

// Host is where the hub is reached: the connection string's HostName.
func (c *Client) Host() string { return c.host }

// Identity addresses a module, or a device if Module is empty.
type Identity struct{ Device, Module string }

// path is the identity's below a collection: "twins", "devices".
func (i Identity) path(collection string) string {
	p := "/" + collection + "/" + url.PathEscape(i.Device)
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

// request is one call of the API.
type request struct {
	method string
	path   string // escaped
	header http.Header
	body   any // is sent as JSON; nothing if nil
}

// do sends one request and reads a 2xx answer's JSON into answer, unless that is nil.
// It returns the answer's header.
func (c *Client) do(ctx context.Context, r request, answer any) (http.Header, error) {
	req, err := c.newRequest(ctx, r)
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.unreached(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, c.unreached(err)
	case resp.StatusCode/100 != 2:
		return nil, c.failure(resp, b)
	case answer == nil:
		return resp.Header, nil
	case len(b) > maxAnswer:
		return nil, fmt.Errorf("the answer of %s is larger than %d MB", c.host, maxAnswer>>20)
	}
	if err := json.Unmarshal(b, answer); err != nil {
		return nil, fmt.Errorf("the answer of %s is not an IoT Hub's: %w", c.host, err)
	}
	return resp.Header, nil
}

// unreached says where the way to the hub ended. The whole URL, which net/http puts
// in front, would say no more.
func (c *Client) unreached(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err
	}
	return fmt.Errorf("reach the hub at %s: %w", c.host, err)
}

func (c *Client) newRequest(ctx context.Context, r request) (*http.Request, error) {
	var body []byte
	if r.body != nil {
		var err error
		if body, err = json.Marshal(r.body); err != nil {
			return nil, err
		}
	}
	u := "https://" + c.host + r.path + "?api-version=" + apiVersion
	req, err := http.NewRequestWithContext(ctx, r.method, u, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	maps.Copy(req.Header, r.header)
	req.Header.Set("Authorization", c.token(time.Now().Add(tokenLifetime)))
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	return req, nil
}

// ifMatch makes a change depend on an etag; any will do if it is empty. The hub wants
// quotes, and its bodies have none.
func ifMatch(etag string) http.Header {
	if etag == "" {
		etag = "*"
	}
	return http.Header{"If-Match": {`"` + strings.Trim(etag, `"`) + `"`}}
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
