package hubemulator

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"syscall"

	"rtsptunnel/internal/httpd"
	"rtsptunnel/internal/hubemulator/broker"
	"rtsptunnel/internal/hubemulator/rest"
	"rtsptunnel/internal/hubemulator/workload"
	"rtsptunnel/internal/localca"
)

// listeners are all the places a hub is reached at.
type listeners struct {
	https    net.Listener
	mqtt     net.Listener
	workload net.Listener
}

// listen opens all listeners or none.
func listen(ctx context.Context, o Options, ca *localca.CA) (l listeners, err error) {
	defer func() {
		if err != nil {
			l.close()
		}
	}()
	config, err := tlsConfig(o, ca)
	if err != nil {
		return l, err
	}
	if l.https, err = listenTLS(ctx, o.HTTPS, config); err != nil {
		return l, fmt.Errorf("listen for HTTPS: %w", err)
	}
	if l.mqtt, err = listenTLS(ctx, o.MQTT, config); err != nil {
		return l, fmt.Errorf("listen for MQTT: %w", err)
	}
	l.workload, err = workload.Listen(ctx, filepath.Join(o.Dir, socketFile))
	return l, err
}

func (l listeners) close() {
	for _, ln := range []net.Listener{l.https, l.mqtt, l.workload} {
		if ln != nil {
			ln.Close()
		}
	}
}

func tlsConfig(o Options, ca *localca.CA) (*tls.Config, error) {
	hosts := []string{o.HostName, defaultHostName, "127.0.0.1"}
	if o.GatewayName != "" {
		hosts = append(hosts, o.GatewayName)
	}
	cert, err := ca.Issue(hosts...)
	if err != nil {
		return nil, err
	}
	return &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}, nil
}

func listenTLS(ctx context.Context, address string, config *tls.Config) (net.Listener, error) {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("%s is taken, stop the program that listens there or choose another address: %w", address, err)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("%s needs more rights, choose a port from 1024 up: %w", address, err)
	case err != nil:
		return nil, err
	}
	return tls.NewListener(ln, config), nil
}

// serve starts to serve all listeners. Close waits for what it starts.
func (h *Hub) serve() {
	o := h.options
	go func() {
		defer close(h.served)
		if err := h.broker.Serve(h.listeners.mqtt); !errors.Is(err, broker.ErrClosed) {
			o.Log.Error().Err(err).Msg("stopped accepting MQTT clients")
		}
	}()
	h.rest = httpd.Serve(h.listeners.https, h.withControl(rest.New(rest.Options{
		Store:      h.store,
		Broker:     h.broker,
		HostNames:  []string{o.HostName, defaultHostName},
		PolicyName: policyName,
		PolicyKey:  h.ownerKey,
		Log:        component(o.Log, "rest"),
	})), component(o.Log, "rest"))
	h.workload = httpd.Serve(h.listeners.workload, workload.New(workload.Options{
		Store:       h.store,
		Device:      o.EdgeDevice,
		TrustBundle: h.ca.CertPEM(),
		Faults:      h.faults,
		Log:         component(o.Log, "workload"),
	}), component(o.Log, "workload"))
}
