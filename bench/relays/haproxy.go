package relays

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"

	"rtsptunnel/bench/ends"
)

// haproxyConfig makes haproxy listen for cameras, on a socket that it inherits, instead of
// dialing them.
const haproxyConfig = `global
  maxconn %d
defaults
  mode tcp
  timeout connect 10s
  timeout client 1h
  timeout server 1h
listen relay
  bind fd@3
  server cloud %s ssl verify required ca-file %s
`

const ownFiles = 100 // open files of haproxy besides those of its tunnels

func startHAProxy(ctx context.Context, l *Lab, e *ends.Ends) (*Instance, error) {
	binary, err := exec.LookPath("haproxy")
	if err != nil {
		if binary, err = exec.LookPath("/usr/sbin/haproxy"); err != nil { // not in every PATH
			return nil, ErrNotInstalled
		}
	}
	limit, err := Descriptors()
	if err != nil {
		return nil, err
	}
	file := filepath.Join(l.dir, "haproxy.cfg")
	config := fmt.Appendf(nil, haproxyConfig, min(maxTunnels, limit/2-ownFiles), e.CloudAddr(), l.caFile)
	if err := os.WriteFile(file, config, 0o600); err != nil {
		return nil, err
	}
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer ln.Close()
	tcp, ok := ln.(*net.TCPListener)
	if !ok {
		return nil, errors.New("not a TCP listener")
	}
	inherited, err := tcp.File()
	if err != nil {
		return nil, err
	}
	defer inherited.Close()                        //nolint:errcheck // nothing was written
	cmd := exec.Command(binary, "-db", "-f", file) //nolint:gosec,noctx // G204: found in PATH; the instance ends it
	cmd.ExtraFiles = []*os.File{inherited}
	p, err := start(cmd)
	if err != nil {
		return nil, err
	}
	address := ln.Addr().String()
	return &Instance{process: p, ask: func(ctx context.Context) error { return e.DialCamera(ctx, address) }}, nil
}
