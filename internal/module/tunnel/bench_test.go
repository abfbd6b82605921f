package tunnel_test

import (
	"context"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gorilla/websocket"

	"rtsptunnel/internal/wire/relay"
	"rtsptunnel/internal/wire/wsconn"
)

// BenchmarkUp relays bytes from a camera to a remote end that is not our code. Relay, camera
// and remote end share the processors.
func BenchmarkUp(b *testing.B) {
	ends := make(chan net.Conn, 1)
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := (&websocket.Upgrader{}).Upgrade(w, r, nil)
		if err != nil {
			b.Error(err)
			return
		}
		ends <- ws.NetConn()
	}))
	defer srv.Close()
	roots := x509.NewCertPool()
	roots.AddCert(srv.Certificate())
	remote, err := wsconn.Dialer{Roots: roots}.Dial(b.Context(), endpoint(srv), nil)
	if err != nil {
		b.Fatal(err)
	}
	cloud := <-ends
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer ln.Close()
	camera, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	near, err := ln.Accept()
	if err != nil {
		b.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); relay.Run(context.WithoutCancel(b.Context()), near, remote) }()
	const piece = 256 << 10
	b.SetBytes(piece)
	go func() {
		p := make([]byte, piece)
		for {
			if _, err := camera.Write(p); err != nil {
				return
			}
		}
	}()
	for b.Loop() {
		if _, err := io.CopyN(io.Discard, cloud, piece); err != nil {
			b.Fatal(err)
		}
	}
	cloud.Close()
	camera.Close()
	<-ended
}
