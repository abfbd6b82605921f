package health

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

const (
	askTimeout = 5 * time.Second
	maxBody    = 4 << 10 // bytes
)

// Ask queries /livez of the Server at address, host:port, with a timeout of 5 s. It
// returns nil if the program is alive, else one line that says why not. If address means
// all interfaces, it queries the loopback address.
func Ask(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	err := ask(ctx, address)
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%s: no answer within %s", address, askTimeout)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", address, err)
	}
	return nil
}

func ask(ctx context.Context, address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	if port == "0" {
		return errors.New("port 0 means any free port: the program's log has the one in use")
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(dialHost(host), port)+"/livez", nil)
	if err != nil {
		return err
	}
	// No proxy and no redirects: the server is on this machine.
	response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	b, err := io.ReadAll(io.LimitReader(response.Body, maxBody))
	if err != nil {
		return err
	}
	return checkAnswer(response.StatusCode, b)
}

// dialHost returns the host to dial for a host that is listened on.
func dialHost(host string) string {
	ip := net.ParseIP(host)
	switch {
	case host == "":
		return "localhost"
	case ip == nil || !ip.IsUnspecified():
		return host
	case ip.To4() != nil:
		return "127.0.0.1"
	default:
		return "::1"
	}
}

// checkAnswer checks the answer. Another program may have sent it.
func checkAnswer(status int, b []byte) error {
	var body struct {
		Live  *bool
		Stuck []stuckLoop
	}
	if err := json.Unmarshal(b, &body); err != nil || body.Live == nil {
		return fmt.Errorf("status %d and an unknown answer: another program uses the address", status)
	}
	if *body.Live && status == http.StatusOK {
		return nil
	}
	loops := make([]string, len(body.Stuck))
	for i, l := range body.Stuck {
		loops[i] = l.Loop + " since " + l.Last.Format(time.RFC3339)
	}
	return fmt.Errorf("status %d, event loops are stuck: %s", status, strings.Join(loops, ", "))
}
