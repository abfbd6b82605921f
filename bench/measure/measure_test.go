package measure_test

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"rtsptunnel/bench/figures"
	"rtsptunnel/bench/measure"
)

// The program starts its own binary as the baselines, and asks the module's binary for its
// version. Here both are the binary of this test.
func TestMain(m *testing.M) {
	if measure.IsChild(os.Args[1:]) {
		os.Exit(measure.Main(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	}
	if len(os.Args) == 2 && os.Args[1] == "version" {
		_, _ = os.Stdout.WriteString("a module\n")
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// run runs the program for one short round, without the module and the gateway.
func run(ctx context.Context, t *testing.T, stderr io.Writer, args ...string) (code int, stdout string) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("the program needs Linux")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	args = append([]string{"--smoke", "--module", self, "--relays", "raw,tlsraw,gorilla,gortsplib"}, args...)
	return measure.Main(ctx, args, nil, &out, stderr), out.String()
}

func TestMain_measuresEveryPhase(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, plot := filepath.Join(dir, "b.json"), filepath.Join(dir, "b.svg")
	var progress strings.Builder
	if code, _ := run(t.Context(), t, &progress, "--json", file, "--svg", plot); code != 0 {
		t.Fatalf("exit code %d:\n%s", code, progress.String())
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var got figures.Results
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	// Of the gateway's phases, one is also of gortsplib.
	if want := 7*3 + 1; len(got.Samples) != want || len(got.Phases) != 7+6 {
		t.Errorf("%d samples of %d phases, want %d of 13", len(got.Samples), len(got.Phases), want)
	}
	for _, s := range got.Samples {
		for _, p := range got.Phases {
			if p.Name == s.Phase && !(s.Values[p.Metrics[0].Key] > 0) {
				t.Errorf("%s, %s: %v %s", s.Phase, s.Relay, s.Values, s.Note)
			}
		}
	}
	if got.Machine.Module != "a module" || got.Machine.Processor == "" && runtime.GOARCH == "amd64" {
		t.Errorf("machine %+v", got.Machine)
	}
	if b, err := os.ReadFile(plot); err != nil || !strings.HasPrefix(string(b), "<svg") {
		t.Errorf("plot: %v, %.40q", err, b)
	}
}

// An interrupted run ends the relay's process and writes the results that it has.
func TestMain_interrupted(t *testing.T) {
	t.Parallel()
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	var progress strings.Builder
	code, out := run(ctx, t, writer(func(b []byte) {
		progress.Write(b)
		if strings.Contains(progress.String(), "tlsraw: ") {
			interrupt()
		}
	}))
	if code != 1 || !strings.HasSuffix(progress.String(), "bench: interrupted\n") || !strings.Contains(out, "bulk-1") {
		t.Errorf("exit code %d:\n%s%s", code, progress.String(), out)
	}
}

type writer func([]byte)

func (w writer) Write(b []byte) (int, error) { w(b); return len(b), nil }

func TestMain_arguments(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args string
		code int
		want string
	}{
		{"--help", 0, "Usage: bench"},
		{"--rounds 0", 2, "--rounds 0: want 1 to 100"},
		{"--seconds NaN", 2, "--seconds NaN: want 0.05 to 60"},
		{"--phases bulk,disk", 2, `no phase "disk"; there are bulk-1, bulk-16, rtt-200`},
		{"--relays nginx", 2, `no relay "nginx"; there are module, raw, tlsraw, gorilla, haproxy, gateway, gortsplib`},
		{"now", 2, `unexpected argument "now"`},
		{"--module /nowhere", 1, "make build makes it"},
	} {
		var out strings.Builder
		code := measure.Main(t.Context(), strings.Fields(tt.args), nil, &out, &out)
		if code != tt.code || !strings.Contains(out.String(), tt.want) {
			t.Errorf("%s: exit code %d, want %d and %q:\n%.200s", tt.args, code, tt.code, tt.want, out.String())
		}
	}
}

func TestMain_choosesPhases(t *testing.T) {
	t.Parallel()
	var progress strings.Builder
	if code, _ := run(t.Context(), t, &progress, "--phases", "open,rtt-200"); code != 0 {
		t.Fatalf("exit code %d:\n%s", code, progress.String())
	}
	for phase, want := range map[string]int{"bulk-1,": 0, "rtt-200,": 3, "rtt-1400,": 0, "open,": 3} {
		if got := strings.Count(progress.String(), phase); got != want {
			t.Errorf("%s is measured %d times, want %d:\n%s", phase, got, want, progress.String())
		}
	}
}
