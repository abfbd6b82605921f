// Package baseline is the relays that the module is measured against, each about as
// plain as its task allows:
//
//   - raw copies between two TCP connections, which Linux does by splice: what any
//     relay costs at least;
//   - tlsraw copies from TCP to TLS and back, what one that encrypts costs at least
//     without special effort;
//   - gorilla masks and frames besides, by gorilla/websocket with buffers of 32 KiB:
//     what a day's work gives.
//
// Each runs as a process of its own. The measuring process asks for a tunnel by
// writing a line to its standard input, and ends it by closing that.
package baseline

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"rtsptunnel/bench/socket"
)

// The names of the baselines.
const (
	Raw     = "raw"
	TLSRaw  = "tlsraw"
	Gorilla = "gorilla"
)

const (
	size       = 32 << 10 // bytes of every buffer that has a choice
	dialWithin = 10 * time.Second
)

// Main is the process: args are the baseline's name, the camera's address, the
// cloud's, and a PEM file with the roots of the cloud's certificate. It opens a
// tunnel for each line of commands, until they end, and says on stderr what failed.
func Main(ctx context.Context, args []string, commands io.Reader, stderr io.Writer) error {
	if len(args) != 4 {
		return errors.New("want NAME CAMERA CLOUD CAFILE")
	}
	dial, err := dialler(args[0], args[2], args[3])
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	var tunnels sync.WaitGroup
	defer tunnels.Wait()
	defer cancel()
	lines := bufio.NewScanner(commands)
	for lines.Scan() {
		tunnels.Go(func() {
			if err := carry(ctx, args[1], dial); err != nil {
				_, _ = fmt.Fprintf(stderr, "%s: %v\n", args[0], err)
			}
		})
	}
	return lines.Err()
}

// dialler returns how a baseline of that name reaches the cloud.
func dialler(name, cloud, caFile string) (func(context.Context) (net.Conn, error), error) {
	pem, err := os.ReadFile(caFile) //nolint:gosec // G304: the measuring process names the file
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	secured := &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	switch name {
	case Raw:
		return func(ctx context.Context) (net.Conn, error) { return (&net.Dialer{}).DialContext(ctx, "tcp", cloud) }, nil
	case TLSRaw:
		return func(ctx context.Context) (net.Conn, error) {
			return (&tls.Dialer{Config: secured}).DialContext(ctx, "tcp", cloud)
		}, nil
	case Gorilla:
		dialer := websocket.Dialer{TLSClientConfig: secured, ReadBufferSize: size, WriteBufferSize: size}
		return func(ctx context.Context) (net.Conn, error) {
			ws, answer, err := dialer.DialContext(ctx, "wss://"+cloud+"/", nil)
			if err != nil {
				return nil, err
			}
			_ = answer.Body.Close()
			return socket.New(ws), nil
		}, nil
	}
	return nil, fmt.Errorf("no baseline %q", name)
}

// carry is one tunnel, from its dials to its end.
func carry(ctx context.Context, camera string, dial func(context.Context) (net.Conn, error)) error {
	here, there, err := both(ctx, camera, dial)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { here.Close(); there.Close() })
	defer stop()
	var copies sync.WaitGroup
	copies.Go(func() { pass(there, here) })
	copies.Go(func() { pass(here, there) })
	copies.Wait()
	return nil
}

// both dials the camera, then the cloud.
func both(ctx context.Context, camera string, dial func(context.Context) (net.Conn, error)) (here, there net.Conn, err error) {
	ctx, cancel := context.WithTimeout(ctx, dialWithin)
	defer cancel()
	if here, err = (&net.Dialer{}).DialContext(ctx, "tcp", camera); err != nil {
		return nil, nil, err
	}
	if there, err = dial(ctx); err != nil {
		here.Close()
		return nil, nil, err
	}
	return here, there, nil
}

// pass copies until one of the two ends, and closes both. It is io.Copy's choice by
// which way: splice for two TCP connections, a buffer of 32 KiB otherwise.
func pass(to, from net.Conn) {
	_, _ = io.Copy(to, from)
	to.Close()
	from.Close()
}
