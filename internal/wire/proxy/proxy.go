// Package proxy opens TCP connections through a site's HTTP proxy, by CONNECT
// (RFC 9110, 9.3.6). Which connections go through which proxy is decided elsewhere.
//
// A line belongs here when it is about the talk with the proxy itself. What goes
// through the connection afterwards, TLS most of all, is end to end and none of its
// business, whether the proxy itself is reached by TLS or not: a proxy that meddles
// with it is found out there.
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

	"rtsptunnel/internal/contract/reason"
)

// maxAnswer is how many bytes a proxy may take for its answer's head.
const maxAnswer = 64 << 10

// StatusError is a proxy's answer that is not a success.
type StatusError struct {
	Proxy  string // host:port
	Status int
}

// Error names the proxy and the status; what else the proxy said is its own.
func (e *StatusError) Error() string {
	return fmt.Sprintf("proxy %s answered CONNECT with status %d %s", e.Proxy, e.Status, http.StatusText(e.Status))
}

// Dial returns a connection to address (host:port), which the proxy opens and, if
// it is a name, resolves. proxy is an http URL, or an https URL for a proxy that is
// itself reached by TLS 1.2 or newer; roots may sign its certificate, the system's if
// nil. A login in it goes to the proxy alone, as Basic (RFC 7617). ctx bounds the whole
// of it. The error has a reason code: reason.ProxyLogin for a 407 or 401,
// reason.ProxyHTTP for another answer than 2xx (both a *StatusError), reason.ProxyDown
// if there was no answer; it names the proxy and the step that failed, and never holds
// the login. There is no way around a proxy that fails. The caller closes the
// connection.
func Dial(ctx context.Context, proxy *url.URL, address string, roots *x509.CertPool) (net.Conn, error) {
	conn, err := reach(ctx, proxy, roots)
	if err != nil {
		return nil, down(proxy, err)
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	opened, err := connect(conn, proxy, address)
	if late := !stop(); late {
		err = down(proxy, fmt.Errorf("no answer to CONNECT: %w", context.Cause(ctx)))
	}
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return opened, nil
}

func down(proxy *url.URL, err error) error {
	return reason.New(reason.ProxyDown, fmt.Errorf("proxy %s: %w", proxy.Host, err))
}

// reach connects to the proxy itself.
func reach(ctx context.Context, proxy *url.URL, roots *x509.CertPool) (net.Conn, error) {
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

// connect asks for the connection and reads the answer's head, not a byte more.
func connect(conn net.Conn, proxy *url.URL, address string) (net.Conn, error) {
	request := &http.Request{
		Method: http.MethodConnect,
		URL:    &url.URL{Opaque: address},
		Host:   address,
		Header: http.Header{"User-Agent": {""}}, // the proxy need not know who we are
	}
	if login := proxy.User; login != nil {
		password, _ := login.Password()
		basic := base64.StdEncoding.EncodeToString([]byte(login.Username() + ":" + password))
		request.Header.Set("Proxy-Authorization", "Basic "+basic)
	}
	if err := request.Write(conn); err != nil {
		return nil, down(proxy, fmt.Errorf("asking to CONNECT: %w", err))
	}
	r := bufio.NewReader(&io.LimitedReader{R: conn, N: maxAnswer})
	answer, err := http.ReadResponse(r, request) //nolint:bodyclose // closing it would read it, and it is the connection
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, down(proxy, errors.New("no whole answer to CONNECT"))
	}
	if err != nil {
		// What net/http cannot read it quotes, so its words stay here.
		return nil, down(proxy, errors.New("its answer to CONNECT is not HTTP"))
	}
	switch {
	// tinyproxy answers 401 to a wrong login; nothing but the proxy can say so here.
	case answer.StatusCode == http.StatusProxyAuthRequired, answer.StatusCode == http.StatusUnauthorized:
		return nil, reason.New(reason.ProxyLogin, &StatusError{proxy.Host, answer.StatusCode})
	case answer.StatusCode/100 != 2:
		return nil, reason.New(reason.ProxyHTTP, &StatusError{proxy.Host, answer.StatusCode})
	}
	early, err := r.Peek(r.Buffered())
	if err != nil {
		return nil, reason.New(reason.ProxyDown, err)
	}
	return &conversation{Conn: conn, early: early}, nil
}

// conversation is a connection of which some bytes have been read already.
type conversation struct {
	net.Conn
	early []byte
}

func (c *conversation) Read(p []byte) (int, error) {
	if len(c.early) > 0 {
		n := copy(p, c.early)
		c.early = c.early[n:]
		return n, nil
	}
	return c.Conn.Read(p)
}

// NetConn is the connection to the proxy.
func (c *conversation) NetConn() net.Conn { return c.Conn }
