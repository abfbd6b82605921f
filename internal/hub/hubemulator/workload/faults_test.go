package workload_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"rtsptunnel/internal/hub/hubemulator/faults"
)

const (
	bundlePath = "/trust-bundle?api-version=2018-06-28"
	signPath   = "/modules/m1/genid/1/sign?api-version=2018-06-28"
	patience   = 10 * time.Second
)

func put(t *testing.T, set *faults.Set, rules faults.Workload) {
	t.Helper()
	if err := set.Put(faults.Rules{Workload: &rules}); err != nil {
		t.Fatal(err)
	}
}

func send(ctx context.Context, client *http.Client, method, path string) error {
	request, err := http.NewRequestWithContext(ctx, method, "http://workload"+path, strings.NewReader(`{"data":"AAAA"}`))
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	return response.Body.Close()
}

func TestFaults_down(t *testing.T) {
	set := faults.New()
	client, _ := startWith(t, set)
	do(t, client, http.MethodGet, bundlePath, "", "") // leaves a connection that is kept alive
	put(t, set, faults.Workload{Down: true})
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		for range 2 { // the second request uses a new connection
			if err := send(t.Context(), client, method, signPath); !errors.Is(err, io.EOF) {
				t.Errorf("%s: got %v, want a connection closed without an answer", method, err)
			}
		}
	}
	set.Clear()
	if status, _ := do(t, client, http.MethodGet, bundlePath, "", ""); status != http.StatusOK {
		t.Errorf("status %d after the fault, want 200", status)
	}
}

func TestFaults_status(t *testing.T) {
	set := faults.New()
	client, _ := startWith(t, set)
	for _, want := range []int{403, 500} {
		put(t, set, faults.Workload{Status: want})
		for _, path := range []string{bundlePath, signPath} {
			if status, document := do(t, client, http.MethodGet, path, "", ""); status != want || document["message"] == "" {
				t.Errorf("%s: got %d %v, want %d with a message", path, status, document, want)
			}
		}
	}
}

func TestFaults_slow(t *testing.T) {
	const delay = 100 * time.Millisecond
	set := faults.New()
	client, _ := startWith(t, set)
	put(t, set, faults.Workload{DelaySeconds: delay.Seconds()})
	begin := time.Now()
	status, document := do(t, client, http.MethodPost, signPath, "", `{"data":"AAAA"}`)
	if took := time.Since(begin); status != http.StatusOK || document["digest"] == "" || took < delay {
		t.Errorf("got %d %v after %v, want 200 and a digest after %v", status, document, took, delay)
	}
}

// A request in progress is answered as soon as the fault is removed.
func TestFaults_slowEnds(t *testing.T) {
	set := faults.New()
	client, _ := startWith(t, set)
	put(t, set, faults.Workload{DelaySeconds: 86400})
	short, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := send(short, client, http.MethodPost, signPath); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want a timeout", err)
	}
	ctx, cancelWait := context.WithTimeout(t.Context(), patience)
	defer cancelWait()
	answered := make(chan error, 1)
	go func() { answered <- send(t.Context(), client, http.MethodPost, signPath) }()
	timer := time.AfterFunc(100*time.Millisecond, set.Clear) // the request is in progress by then, or finds no fault
	defer timer.Stop()
	select {
	case err := <-answered:
		if err != nil {
			t.Error(err)
		}
	case <-ctx.Done():
		t.Error("no answer after the fault was removed")
	}
}
