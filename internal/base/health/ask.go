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
	askWithin = 5 * time.Second
	maxBody   = 4 << 10 // bytes
)

// Ask asks /livez at address, as a program's Server has it, for 5 s at most. The
// error says in one line why there is no good answer. An address that means all
// interfaces is asked on this machine.
func Ask(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	err := ask(ctx, address)
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%s: no answer within %s", address, askWithin)
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
		return errors.New("port 0 is any free one, which only the program's log tells")
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(here(host), port)+"/livez", http.NoBody)
	if err != nil {
		return err
	}
	// Neither proxy nor redirect: who is asked is this machine.
	response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	b, err := io.ReadAll(io.LimitReader(response.Body, maxBody))
	if err != nil {
		return err
	}
	return judge(response.StatusCode, b)
}

// here is the host to dial for what is listened on.
func here(host string) string {
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

// judge takes an answer apart. Another program may have the port.
func judge(status int, b []byte) error {
	var body struct {
		Live  *bool
		Stuck []stuckLoop
	}
	if err := json.Unmarshal(b, &body); err != nil || body.Live == nil {
		return fmt.Errorf("status %d and no answer of this program: another one has the address", status)
	}
	if *body.Live && status == http.StatusOK {
		return nil
	}
	loops := make([]string, len(body.Stuck))
	for i, l := range body.Stuck {
		loops[i] = l.Loop + " since " + l.Last.Format(time.RFC3339)
	}
	return fmt.Errorf("status %d, event loops stand still: %s", status, strings.Join(loops, ", "))
}
