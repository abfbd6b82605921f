package camera_test

import (
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// Keep-alive detects a dead camera within 45 s.
func TestDial_keepsAlive(t *testing.T) {
	_, cam := listen(t)
	c, err := cam.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	raw, err := c.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	get := func(level, name int) (value int) {
		if err := raw.Control(func(fd uintptr) { value, err = unix.GetsockoptInt(int(fd), level, name) }); err != nil {
			t.Fatal(err)
		}
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
	idle, every, times := get(unix.IPPROTO_TCP, unix.TCP_KEEPIDLE), get(unix.IPPROTO_TCP, unix.TCP_KEEPINTVL), get(unix.IPPROTO_TCP, unix.TCP_KEEPCNT)
	if get(unix.SOL_SOCKET, unix.SO_KEEPALIVE) != 1 || idle+every*times > 45 {
		t.Errorf("after %d s %d probes, every %d s", idle, times, every)
	}
}
