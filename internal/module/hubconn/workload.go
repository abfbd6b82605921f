package hubconn

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"rtsptunnel/internal/contract/reason"
)

const (
	workloadVersion = "2018-06-28" // the oldest with both calls; every IoT Edge knows it
	workloadTimeout = 10 * time.Second
	maxAnswer       = 1 << 20 // bytes of an answer
)

// Workload authenticates a module of IoT Edge by the workload API, which signs its tokens
// and has the only roots that may sign the edge hub's certificate.
type Workload struct {
	URI          string // unix:///path or http://host:port
	GenerationID string
	Timeout      time.Duration // of each call; 10 s if zero
}

var errNoWorkload = errors.New("the identity does not use the workload API")

// workload is the IoT Edge workload API of one module. The library's own client is not
// used: it has no timeout, ignores the HTTP status, does not escape ids, and shares one
// socket path between all clients of a process.
type workload struct {
	id Identity
	tokens
	network, address string // of the API's listener

	sign string // path of the signing call
	base string // URL without a trailing slash
	http http.Client
}

func (w Workload) open(id Identity, t tokens) (authenticator, error) {
	u, err := url.Parse(w.URI)
	if err != nil {
		return nil, errors.New("IOTEDGE_WORKLOADURI is not a URI")
	}
	transport := &http.Transport{DisableKeepAlives: true} // two calls an hour
	timeout := w.Timeout
	if timeout == 0 {
		timeout = workloadTimeout
	}
	noRedirects := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	api := &workload{
		id: id, tokens: t,
		sign: "/modules/" + url.PathEscape(id.ModuleID) + "/genid/" + url.PathEscape(w.GenerationID) + "/sign",
		http: http.Client{Transport: transport, Timeout: timeout, CheckRedirect: noRedirects},
	}
	switch u.Scheme {
	case "unix":
		socket := u.Host + u.Path
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		}
		api.network, api.address = "unix", socket
		api.base = "http://workload"
	case "http":
		host := u.Host
		if u.Port() == "" {
			host = net.JoinHostPort(u.Hostname(), "80")
		}
		api.network, api.address = "tcp", host
		api.base = strings.TrimSuffix(w.URI, "/")
	default:
		return nil, fmt.Errorf("IOTEDGE_WORKLOADURI has scheme %q, want unix or http", u.Scheme)
	}
	return api, nil
}

func (w *workload) credentials(ctx context.Context) (Credentials, error) {
	roots, err := w.trustBundle(ctx)
	if err != nil {
		return Credentials{}, reason.New(reason.HubWorkload, err)
	}
	c, err := w.id.tokenCredentials(ctx, w.tokens, w.digest)
	if err != nil {
		return Credentials{}, reason.New(reason.HubWorkload, err)
	}
	c.roots = roots
	return c, nil
}

// probe connects to the API's listener and sends nothing.
func (w *workload) probe(ctx context.Context) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, w.network, w.address)
	if err != nil {
		return err
	}
	return conn.Close()
}

// trustBundle returns the certificates that sign the edge hub's. If it fails there is no
// connection: TLS is never unverified.
func (w *workload) trustBundle(ctx context.Context) (*x509.CertPool, error) {
	var answer struct {
		Certificate string `json:"certificate"`
	}
	if err := w.call(ctx, http.MethodGet, "/trust-bundle", nil, &answer); err != nil {
		return nil, fmt.Errorf("workload API trust bundle: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(answer.Certificate)) {
		return nil, errors.New("workload API trust bundle: no certificate in it")
	}
	return pool, nil
}

// digest is the signer with the module's key.
func (w *workload) digest(ctx context.Context, text string) (string, error) {
	request := map[string]string{
		"keyId": "primary", "algo": "HMACSHA256",
		"data": base64.StdEncoding.EncodeToString([]byte(text)),
	}
	var answer struct {
		Digest string `json:"digest"`
	}
	if err := w.call(ctx, http.MethodPost, w.sign, request, &answer); err != nil {
		return "", fmt.Errorf("workload API sign: %w", err)
	}
	if answer.Digest == "" {
		return "", errors.New("workload API sign: no digest in the answer")
	}
	return answer.Digest, nil
}

// call sends request as JSON, if it is not nil, and decodes an answer with status 200.
func (w *workload) call(ctx context.Context, method, path string, request, answer any) error {
	var body io.Reader
	if request != nil {
		b, err := json.Marshal(request)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	r, err := http.NewRequestWithContext(ctx, method, w.base+path+"?api-version="+workloadVersion, body)
	if err != nil {
		return err
	}
	if request != nil {
		r.Header.Set("Content-Type", "application/json") // IoT Edge 1.2 and newer ignore any other body
	}
	resp, err := w.http.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		var failure struct {
			Message string `json:"message"`
		}
		_ = json.Unmarshal(b, &failure) // without a message the status is enough
		return fmt.Errorf("status %d %.200s", resp.StatusCode, failure.Message)
	}
	return json.Unmarshal(b, answer)
}
