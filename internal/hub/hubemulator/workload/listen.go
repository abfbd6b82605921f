package workload

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
)

// socketMode allows every user to connect, as in IoT Edge: modules do not run as root
// (Azure/iotedge, edgelet/aziot-edged/src/workload_manager.rs).
const socketMode = 0o666

// maxPath is the longest socket path that Linux accepts, in bytes (unix(7), sun_path
// without the final NUL).
const maxPath = 107

// Listen listens on the unix socket path. It replaces a stale socket of a killed process.
// A socket in use is an error, and so is any other file. Closing the listener removes
// the socket.
func Listen(ctx context.Context, path string) (net.Listener, error) {
	if len(path) > maxPath {
		return nil, fmt.Errorf("listen on %s: path is longer than %d bytes, choose a shorter directory", path, maxPath)
	}
	if err := removeStale(ctx, path); err != nil {
		return nil, err
	}
	var config net.ListenConfig
	ln, err := config.Listen(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("listen on workload socket: %w", err)
	}
	if err := os.Chmod(path, socketMode); err != nil {
		ln.Close()
		return nil, fmt.Errorf("make workload socket writable for all users: %w", err)
	}
	return ln, nil
}

func removeStale(ctx context.Context, path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("inspect workload socket: %w", err)
	}
	if info.Mode().Type() != os.ModeSocket {
		return fmt.Errorf("%s exists and is not a socket, remove it or choose another directory", path)
	}
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", path)
	if err == nil {
		conn.Close()
		return fmt.Errorf("%s is in use by another process, stop it or choose another directory", path)
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("check whether %s is in use: %w", path, err)
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("remove stale workload socket: %w", err)
	}
	return nil
}
