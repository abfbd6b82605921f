// Package baseline implements the relays that the module is compared with. Each is as
// simple as its task allows:
//
//   - raw copies between two TCP connections, for which Linux uses splice. It is the
//     lower bound for any relay.
//   - tlsraw copies from TCP to TLS and back. It is what a relay that encrypts costs
//     without tuning.
//   - gorilla sends WebSocket frames over TLS by gorilla/websocket with buffers of
//     32 KiB. It is what a simple implementation costs.
//
// Each baseline runs as a process of its own. The measuring process opens a tunnel by
// writing a line to its standard input, and ends the process by closing that input.
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
	size       = 32 << 10 // bytes of every buffer whose size can be set
	dialWithin = 10 * time.Second
)

// Main runs a baseline. args are its name, the address of the camera, the address of the
// cloud, and a PEM file with the roots of the cloud's certificate. Main opens a tunnel for
// each line of commands and writes failed tunnels to stderr. It returns when commands
// end, after it has closed all tunnels.
func Main(ctx context.Context, args []string, commands io.Reader, stderr io.Writer) error {
	if len(args) != 4 {
		return errors.New("want NAME CAMERA CLOUD CAFILE")
	}
	dial, err := dialFunc(args[0], args[2], args[3])
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
			if err := runTunnel(ctx, args[1], dial); err != nil {
				_, _ = fmt.Fprintf(stderr, "%s: %v\n", args[0], err)
			}
		})
	}
	return lines.Err()
}

// dialFunc returns the function by which the named baseline dials the cloud.
func dialFunc(name, cloud, caFile string) (func(context.Context) (net.Conn, error), error) {
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

// runTunnel dials both sides and copies until one of them ends or ctx is done.
func runTunnel(ctx context.Context, camera string, dial func(context.Context) (net.Conn, error)) error {
	here, there, err := dialBoth(ctx, camera, dial)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { here.Close(); there.Close() })
	defer stop()
	var copies sync.WaitGroup
	copies.Go(func() { copyAndClose(there, here) })
	copies.Go(func() { copyAndClose(here, there) })
	copies.Wait()
	return nil
}

// dialBoth dials the camera, then the cloud.
func dialBoth(ctx context.Context, camera string, dial func(context.Context) (net.Conn, error)) (here, there net.Conn, err error) {
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

// copyAndClose copies until one of the two connections ends, and closes both. io.Copy uses
// splice between two TCP connections, and a buffer of 32 KiB otherwise.
func copyAndClose(to, from net.Conn) {
	_, _ = io.Copy(to, from)
	to.Close()
	from.Close()
}
