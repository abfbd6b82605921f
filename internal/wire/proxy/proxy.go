// Package proxy opens TCP connections through a site's HTTP proxy, with CONNECT
// (RFC 9110, 9.3.6). The caller decides which proxy a connection uses.
//
// Code belongs here if it concerns the exchange with the proxy itself. The bytes after it
// are end to end: TLS with the endpoint detects a proxy that changes them, whether the
// proxy itself is dialed with TLS or not.
package proxy

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"

	"rtsptunnel/internal/base/shortage"
	"rtsptunnel/internal/contract/reason"
)

const (
	// maxAnswer bounds the heads of the proxy's answers together, in bytes.
	maxAnswer = 64 << 10
	// maxInformational is how many informational answers are skipped, as in net/http's client.
	maxInformational = 5
)

var errInformational = errors.New("more than 5 informational answers (1xx) to CONNECT")

// StatusError is the error of a proxy that answered with a status other than 2xx.
type StatusError struct {
	Proxy  string // host:port
	Status int
}

// Error names the proxy and the status, and repeats no other text of the proxy.
func (e *StatusError) Error() string {
	return fmt.Sprintf("proxy %s answered CONNECT with status %d %s", e.Proxy, e.Status, http.StatusText(e.Status))
}

// Dial returns a connection to address (host:port) through the proxy, which resolves names
// itself. ctx bounds the whole dial, and not the connection. The caller closes the
// connection.
//
// proxy is an http URL, or an https URL for a proxy that is dialed with TLS 1.2 or newer
// and verified with roots; the system's roots if nil. Credentials in the URL are sent to
// the proxy only, as Basic authentication (RFC 7617).
//
// The error has a reason code: reason.ProxyLogin for a 407 or 401, reason.ProxyHTTP for
// any other status than 2xx (both a *StatusError), reason.NoResources if this process lacks
// a resource, reason.ProxyDown if there was no answer for another cause. It names the proxy and the step that failed, and never holds the credentials.
// There is no direct fallback.
func Dial(ctx context.Context, proxy *url.URL, address string, roots *x509.CertPool) (net.Conn, error) {
	conn, err := dialProxy(ctx, proxy, roots)
	if err != nil {
		return nil, proxyDown(proxy, err)
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	opened, err := connect(conn, proxy, address)
	if late := !stop(); late {
		err = proxyDown(proxy, fmt.Errorf("no answer to CONNECT: %w", context.Cause(ctx)))
	}
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return opened, nil
}

// proxyDown is the error of a proxy without an answer, or of an own shortage, which is no
// fault of the proxy.
func proxyDown(proxy *url.URL, err error) error {
	code := reason.ProxyDown
	if shortage.Is(err) {
		code = reason.NoResources
	}
	return reason.New(code, fmt.Errorf("proxy %s: %w", proxy.Host, err))
}

// dialProxy connects to the proxy itself.
func dialProxy(ctx context.Context, proxy *url.URL, roots *x509.CertPool) (net.Conn, error) {
	port := proxy.Port()
	switch {
	case proxy.Scheme != "http" && proxy.Scheme != "https":
		return nil, fmt.Errorf("its URL has scheme %q, want http or https", proxy.Scheme)
	case port == "" && proxy.Scheme == "http":
		port = "80"
	case port == "":
		port = "443"
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(proxy.Hostname(), port))
	if err != nil || proxy.Scheme == "http" {
		return conn, err
	}
	secured := tls.Client(conn, &tls.Config{ServerName: proxy.Hostname(), RootCAs: roots, MinVersion: tls.VersionTLS12})
	if err := secured.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("TLS: %w", err)
	}
	return secured, nil
}

// connect sends CONNECT and reads the head of the answer. Later bytes stay readable in the
// connection that it returns.
func connect(conn net.Conn, proxy *url.URL, address string) (net.Conn, error) {
	request := &http.Request{
		Method: http.MethodConnect,
		URL:    &url.URL{Opaque: address},
		Host:   address,
		Header: http.Header{"User-Agent": {""}}, // empty: the proxy need not learn the module's version
	}
	if credentials := proxy.User; credentials != nil {
		password, _ := credentials.Password()
		basic := base64.StdEncoding.EncodeToString([]byte(credentials.Username() + ":" + password))
		request.Header.Set("Proxy-Authorization", "Basic "+basic)
	}
	if err := request.Write(conn); err != nil {
		return nil, proxyDown(proxy, fmt.Errorf("send CONNECT: %w", err))
	}
	r := bufio.NewReader(&io.LimitedReader{R: conn, N: maxAnswer})
	answer, err := readAnswer(r, request) //nolint:bodyclose // the body is the connection, and closing it would read from it
	switch {
	case errors.Is(err, errInformational):
		return nil, proxyDown(proxy, err)
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return nil, proxyDown(proxy, errors.New("incomplete answer to CONNECT"))
	case err != nil:
		// net/http's error quotes the answer.
		return nil, proxyDown(proxy, errors.New("its answer to CONNECT is not HTTP"))
	}
	switch {
	// tinyproxy answers 401 to wrong credentials; an answer to CONNECT is always the proxy's.
	case answer.StatusCode == http.StatusProxyAuthRequired, answer.StatusCode == http.StatusUnauthorized:
		return nil, reason.New(reason.ProxyLogin, &StatusError{proxy.Host, answer.StatusCode})
	case answer.StatusCode/100 != 2:
		return nil, reason.New(reason.ProxyHTTP, &StatusError{proxy.Host, answer.StatusCode})
	}
	early, err := r.Peek(r.Buffered())
	if err != nil {
		return nil, reason.New(reason.ProxyDown, err)
	}
	return &bufferedConn{Conn: conn, early: early}, nil
}

// readAnswer reads the head of the final answer. It skips up to five informational answers
// (RFC 9110, 15.2); 101 is final, since it ends HTTP.
func readAnswer(r *bufio.Reader, request *http.Request) (*http.Response, error) {
	for range maxInformational + 1 {
		answer, err := http.ReadResponse(r, request)
		if err != nil || answer.StatusCode/100 != 1 || answer.StatusCode == http.StatusSwitchingProtocols {
			return answer, err
		}
	}
	return nil, errInformational
}

// bufferedConn is a connection that returns bytes from a buffer first.
type bufferedConn struct {
	net.Conn
	early []byte
}

var _ net.Conn = (*bufferedConn)(nil)

func (c *bufferedConn) Read(p []byte) (int, error) {
	if len(c.early) > 0 {
		n := copy(p, c.early)
		c.early = c.early[n:]
		return n, nil
	}
	return c.Conn.Read(p)
}

// NetConn returns the connection to the proxy.
func (c *bufferedConn) NetConn() net.Conn { return c.Conn }
