package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
	"syscall"
)

// listen takes the ports of the gateway first, since a second demo on this machine may have
// them. The gateway's process listens there itself: release gives them back right before.
func (d *demo) listen(ctx context.Context) (string, error) {
	public, err := d.take(ctx, 0)
	if err != nil {
		return "", err
	}
	rtsp, err := d.take(ctx, d.port)
	if err != nil {
		return "", fmt.Errorf("%w (is another demo running? --port N takes another port, --port 0 a free one)", err)
	}
	page, note, err := d.takePage(ctx)
	if err != nil {
		return "", err
	}
	d.public, d.rtsp, d.page = public, rtsp, page
	return "taken for players: " + rtsp + ", for browsers: " + page + note, nil
}

// pagePorts is how many ports the page tries, from the wanted one on.
const pagePorts = 20

// takePage takes the port of the page, or the next free one: other programs often have 8080.
// The note says so.
func (d *demo) takePage(ctx context.Context) (address, note string, err error) {
	for port := d.pagePort; port < d.pagePort+pagePorts && port <= maxPort; port++ {
		address, err = d.take(ctx, port)
		if err == nil && port != d.pagePort {
			note = fmt.Sprintf(" (%d is taken)", d.pagePort)
		}
		if err == nil || !errors.Is(err, syscall.EADDRINUSE) {
			break
		}
	}
	if err != nil {
		return "", "", fmt.Errorf("%w (--page-port N takes another port, --page-port 0 a free one)", err)
	}
	return address, note, nil
}

// take listens on a port of loopback, 0 for a free one, and returns the address.
func (d *demo) take(ctx context.Context, port int) (string, error) {
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return "", err
	}
	d.taken = append(d.taken, ln)
	d.onClose(func() { _ = ln.Close() })
	return ln.Addr().String(), nil
}

func (d *demo) release() {
	for _, ln := range d.taken {
		_ = ln.Close()
	}
}

// startGateway starts the gateway as a process of its own, and returns when it serves all
// cameras. Its environment names its configuration and nothing else.
func (d *demo) startGateway(ctx context.Context) (string, error) {
	if err := d.files.configure(d); err != nil {
		return "", err
	}
	command, err := self(gatewayCommand)
	if err != nil {
		return "", err
	}
	d.release()
	d.gateway = &process{
		name: gatewayStep, out: d.out, logs: io.MultiWriter(d.logs, &lines{handle: d.fromGateway}),
		command: command, env: []string{"TUNNELGATEWAY_CONFIG=" + d.files.config},
	}
	if err := d.run(ctx, d.gateway); err != nil {
		return "", err
	}
	if err := d.awaitGateway(ctx); err != nil {
		return "", err
	}
	return fmt.Sprintf("process %d waits for tunnels on wss://%s, and serves RTSP on %s", d.gateway.pid(), d.public, d.rtsp), nil
}

// awaitGateway waits until the gateway has discovered the cameras.
func (d *demo) awaitGateway(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	select {
	case <-d.served:
		return nil
	case <-d.gateway.ended:
		return fmt.Errorf("it ended; its last log lines:\n%s", d.gateway.tail())
	case <-ctx.Done():
		return fmt.Errorf("it did not discover the cameras within %s; its last log lines:\n%s", readyTimeout, d.gateway.tail())
	}
}

// fromGateway receives the events of the gateway's log, one after the other.
func (d *demo) fromGateway(e event) {
	if e.Message == camerasChanged && e.Cameras >= len(d.cameras) {
		d.discovered()
	}
	for _, c := range d.cameras {
		if c.fullName() == e.Camera { // a player may ask for any name
			d.events.record(e)
		}
	}
	if text, ok := e.text(); ok {
		d.out.step(text.label, text.line)
	}
}

// url returns a camera's URL for players. It holds the viewer's token.
func (d *demo) url(c *camera) string {
	u := url.URL{Scheme: "rtsp", Host: d.rtsp, Path: "/" + c.fullName(), RawQuery: url.Values{"token": {d.files.token}}.Encode()}
	return u.String()
}
