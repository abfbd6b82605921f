package demo_test

import (
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

var pageURL = regexp.MustCompile(`(?m)^http://127\.0\.0\.1:\d+/#login=(\S+)$`)

// post sends JSON and returns the status.
func post(t *testing.T, address, body string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	return answer.StatusCode
}

// The demo's address of the page logs in once. If its port is taken, it is the next free one.
func TestDemo_page(t *testing.T) {
	tempDir(t)
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	_, port, err := net.SplitHostPort(busy.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	d := startDemo(t, "--page-port", port)
	if !strings.Contains(d.out.String(), "("+port+" is taken)") {
		t.Error("nothing says that the port is taken")
	}
	found := pageURL.FindStringSubmatch(d.out.String())
	if found == nil {
		t.Fatalf("no address of the page:\n%s", d.out)
	}
	address, _, _ := strings.Cut(found[0], "#")
	for i, want := range []int{http.StatusNoContent, http.StatusUnauthorized} {
		if got := post(t, address+"login", `{"code":"`+found[1]+`"}`); got != want {
			t.Errorf("login %d: status %d, want %d", i+1, got, want)
		}
	}
	d.end(t)
}
