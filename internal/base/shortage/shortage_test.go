package shortage_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"syscall"
	"testing"

	"rtsptunnel/internal/base/shortage"
)

func dial(step string, errno syscall.Errno) error {
	return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError(step, errno)}
}

func TestIs(t *testing.T) {
	lookup := func(err error) error {
		return fmt.Errorf("dial: %w", &net.OpError{Op: "dial", Err: &net.DNSError{Err: err.Error(), Name: "camera.test", Server: "192.0.2.1:53"}})
	}
	for name, c := range map[string]struct {
		err  error
		want bool
	}{
		"no descriptor of the process":        {dial("socket", syscall.EMFILE), true},
		"no descriptor of the system":         {dial("socket", syscall.ENFILE), true},
		"no port":                             {dial("connect", syscall.EADDRNOTAVAIL), true},
		"no port to a peer within reach":      {&net.OpError{Op: "dial", Addr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 554}, Err: syscall.EADDRNOTAVAIL}, true},
		"no buffer":                           {dial("socket", syscall.ENOBUFS), true},
		"no memory":                           {fmt.Errorf("dial: %w", dial("socket", syscall.ENOMEM)), true},
		"no descriptor for a file":            {&fs.PathError{Op: "open", Path: "/etc/ssl/certs", Err: syscall.EMFILE}, true},
		"no descriptor for a look-up":         {lookup(dial("socket", syscall.EMFILE)), true},
		"no descriptor of the system for one": {lookup(dial("socket", syscall.ENFILE)), true},
		"no port for a look-up":               {lookup(dial("connect", syscall.EAGAIN)), true},
		"a name server without a route":       {lookup(dial("connect", syscall.EADDRNOTAVAIL)), false},
		"an unknown name":                     {lookup(errors.New("no such host")), false},
		"a refused connection":                {dial("connect", syscall.ECONNREFUSED), false},
		"no route":                            {dial("connect", syscall.ENETUNREACH), false},
		"a missing file":                      {fs.ErrNotExist, false},
		"a deadline":                          {context.DeadlineExceeded, false},
		"none":                                {nil, false},
	} {
		if got := shortage.Is(c.err); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
