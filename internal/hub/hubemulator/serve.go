package hubemulator

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"syscall"

	"rtsptunnel/internal/base/httpd"
	"rtsptunnel/internal/base/localca"
	"rtsptunnel/internal/hub/hubemulator/broker"
	"rtsptunnel/internal/hub/hubemulator/mqttws"
	"rtsptunnel/internal/hub/hubemulator/rest"
	"rtsptunnel/internal/hub/hubemulator/workload"
)

// listeners are the hub's listeners.
type listeners struct {
	https        net.Listener
	mqtt         net.Listener
	workload     net.Listener
	workloadHTTP net.Listener // nil without Options.WorkloadHTTP
}

// listen opens all listeners. After an error it leaves none open.
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
	if o.WorkloadHTTP != "" {
		if l.workloadHTTP, err = listenTCP(ctx, o.WorkloadHTTP); err != nil {
			return l, fmt.Errorf("listen for the workload API: %w", err)
		}
	}
	l.workload, err = workload.Listen(ctx, filepath.Join(o.Dir, socketFile))
	return l, err
}

func (l listeners) close() {
	for _, ln := range []net.Listener{l.https, l.mqtt, l.workload, l.workloadHTTP} {
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
	return &tls.Config{
		Certificates: []tls.Certificate{cert},
		MinVersion:   tls.VersionTLS12,
		// A client that logs in with a token may send any certificate. The broker
		// verifies the certificate of a login at its CONNECT.
		ClientAuth: tls.RequestClientCert,
	}, nil
}

func listenTLS(ctx context.Context, address string, config *tls.Config) (net.Listener, error) {
	ln, err := listenTCP(ctx, address)
	if err != nil {
		return nil, err
	}
	return tls.NewListener(ln, config), nil
}

func listenTCP(ctx context.Context, address string) (net.Listener, error) {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("%s is taken, stop the program that listens there or choose another address: %w", address, err)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("%s needs more rights, choose a port from 1024 up: %w", address, err)
	default:
		return ln, err
	}
}

// serve starts the servers of all listeners. Close waits for their goroutines.
func (h *Hub) serve() {
	o := h.options
	go func() {
		defer close(h.served)
		if err := h.broker.Serve(h.listeners.mqtt); !errors.Is(err, broker.ErrClosed) {
			o.Log.Error().Err(err).Msg("stopped accepting MQTT clients")
		}
	}()
	api := rest.New(rest.Options{
		Store:      h.store,
		Broker:     h.broker,
		Rollout:    h.rollout,
		HostNames:  []string{o.HostName, defaultHostName},
		PolicyName: policyName,
		PolicyKey:  h.ownerKey,
		Faults:     h.faults,
		Throttle:   h.throttle,
		Log:        component(o.Log, "rest"),
	})
	h.rest = httpd.Serve(h.listeners.https, mqttws.New(mqttws.Options{
		ServeConn: h.broker.ServeConn,
		Next:      h.withControl(api),
		Log:       component(o.Log, "mqttws"),
	}), component(o.Log, "rest"))
	h.serveWorkload()
}

// serveWorkload serves the workload API on the unix socket and over HTTP.
func (h *Hub) serveWorkload() {
	log := component(h.options.Log, "workload")
	api := workload.New(workload.Options{
		Store:       h.store,
		Device:      h.options.EdgeDevice,
		TrustBundle: h.ca.CertPEM(),
		Faults:      h.faults,
		Log:         log,
	})
	h.workload = httpd.Serve(h.listeners.workload, api, log)
	if h.listeners.workloadHTTP != nil {
		h.workloadHTTP = httpd.Serve(h.listeners.workloadHTTP, api, log)
	}
}
