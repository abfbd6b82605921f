package wsconn

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httptrace"
	"net/netip"
	"net/url"
	"syscall"

	"rtsptunnel/internal/base/wsstream"
	"rtsptunnel/internal/wire/proxy"
)

// maxHandshake is the number of bytes that a proxy and a server together may send before
// the WebSocket is open, certificates included.
const maxHandshake = 256 << 10

// handshake dials the connection under a WebSocket. It adds what gorilla's dialer lacks:
// ctx is obeyed in every phase, not only while connecting; the size of the answer is
// bounded; informational answers are skipped; a refusal ends with its head; and the proxy is package proxy's, since gorilla's CONNECT panics on a status
// line without a reason phrase.
type handshake struct {
	proxy      *url.URL // none if nil
	roots      *x509.CertPool
	judge      func(netip.Addr) error // any address is allowed if nil
	sessions   *Sessions              // none if nil
	conn       *wsstream.Handshake
	under      *transport
	answer     *wsstream.Answer // over under
	stop       func() bool
	headerSent bool // the peer has the header and may repeat it in its answer
}

// traced returns ctx with a trace that records when the header was sent.
func (h *handshake) traced(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		WroteRequest: func(httptrace.WroteRequestInfo) { h.headerSent = true },
	})
}

func (h *handshake) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := h.reach(ctx, network, address)
	if err != nil {
		return nil, err
	}
	h.conn = wsstream.NewHandshake(conn, maxHandshake)
	h.stop = context.AfterFunc(ctx, func() { _ = conn.Close() })
	return h.over(&transport{Conn: h.conn}), nil
}

// over returns the connection that gorilla uses.
func (h *handshake) over(under *transport) net.Conn {
	h.under, h.answer = under, wsstream.NewAnswer(under, readBuffer)
	return h.answer
}

func (h *handshake) dialTLS(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("split host and port: %w", err)
	}
	if _, err := h.dial(ctx, network, address); err != nil {
		return nil, err
	}
	records := &cork{Conn: h.conn}
	conn := tls.Client(records, &tls.Config{
		RootCAs: h.roots, ServerName: host, MinVersion: tls.VersionTLS12, ClientSessionCache: h.sessions.cacheFor(address),
	})
	if err := conn.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return h.over(&transport{Conn: conn, cork: records}), nil
}

// reach opens the TCP connection. The proxy resolves names itself, so behind a proxy only
// an address in the endpoint is judged.
func (h *handshake) reach(ctx context.Context, network, address string) (net.Conn, error) {
	if h.proxy == nil {
		return (&net.Dialer{ControlContext: h.control}).DialContext(ctx, network, address)
	}
	if literal, err := netip.ParseAddrPort(address); err == nil && h.judge != nil {
		if err := h.judge(literal.Addr()); err != nil {
			return nil, err
		}
	}
	return proxy.Dial(ctx, h.proxy, address, h.roots)
}

// control judges the address that is about to be dialed. It runs after name resolution,
// for each address that is tried, so a name that resolves differently later cannot bypass
// it.
func (h *handshake) control(_ context.Context, _, address string, _ syscall.RawConn) error {
	if h.judge == nil {
		return nil
	}
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("judge the address: %w", err)
	}
	return h.judge(to.Addr())
}

// redact returns an error of reading the answer without the peer's text: net/http quotes
// lines that it cannot parse, and the peer may repeat the header there. A line that ends
// early is quoted as well, so the connection's own error comes first.
func (h *handshake) redact(err error) error {
	if failed := h.conn.Err(); failed != nil {
		return failed
	}
	if errors.Is(err, wsstream.ErrInformational) {
		return wsstream.ErrInformational
	}
	if _, ok := errors.AsType[net.Error](err); ok || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	return errors.New("the answer to the handshake is not HTTP")
}

// finish ends the bounds of the handshake. It tells whether ctx has closed the
// connection.
func (h *handshake) finish() (late bool) {
	if h.conn == nil {
		return false
	}
	h.conn.Complete()
	return !h.stop()
}
