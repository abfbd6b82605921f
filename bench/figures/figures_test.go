package figures_test

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rtsptunnel/bench/figures"
)

// results returns three rounds on a machine that slows down: the figures of each relay
// double from round to round, and the ratios stay.
func results() *figures.Results {
	r := &figures.Results{
		Machine: figures.Machine{Processor: "a processor", Cores: 2, MemoryGiB: 24, Kernel: "6", Go: "go1", Module: "rtsptunnel 1", LoadAvg: "0.1"},
		Command: "make bench", Seconds: 9, Rounds: 3,
		Relays: []figures.Relay{{Name: "module", Text: "ours"}, {Name: "tlsraw", Text: "plain", Base: true}, {Name: "haproxy", Text: "another", Base: true}},
		Phases: []figures.Phase{{Name: "bulk-16", Text: "<16> cameras", Metrics: []figures.Metric{
			{Key: figures.CPUPerGiB, Title: "CPU s/GiB", Digits: 2}, {Key: "mb_per_s", Title: "MB/s"},
		}}},
	}
	for round, own := range []float64{0.9, 2.0, 3.6} {
		tlsraw := float64(int(1) << round)
		r.Samples = append(r.Samples,
			figures.Sample{Round: round + 1, Phase: "bulk-16", Relay: "module", Values: map[string]float64{figures.CPUPerGiB: own, "mb_per_s": 100}},
			figures.Sample{Round: round + 1, Phase: "bulk-16", Relay: "tlsraw", Values: map[string]float64{figures.CPUPerGiB: tlsraw, "mb_per_s": 200}},
			figures.Sample{Round: round + 1, Phase: "bulk-16", Relay: "haproxy", Note: "not installed"})
	}
	return r
}

func TestRatio_isOfTheSameRound(t *testing.T) {
	t.Parallel()
	r := results()
	got := r.Ratio("bulk-16", figures.CPUPerGiB, "module", "tlsraw")
	if want := (figures.Stat{Median: 0.9, Min: 0.9, Max: 1.0, N: 3}); got != want {
		t.Errorf("ratio %+v, want %+v", got, want)
	}
	r.Samples = r.Samples[1:] // without the module in round 1, the median lies between two ratios
	got = r.Ratio("bulk-16", figures.CPUPerGiB, "module", "tlsraw")
	if want := (figures.Stat{Median: 0.95, Min: 0.9, Max: 1.0, N: 2}); got != want {
		t.Errorf("ratio without round 1 %+v, want %+v", got, want)
	}
	if got := r.Ratio("bulk-16", figures.CPUPerGiB, "module", "haproxy"); got.N != 0 {
		t.Errorf("ratio to a relay that was not measured %+v", got)
	}
}

func TestJudge(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		factor float64 // on the module's figures, whose median ratio is 0.9
		want   string
	}{{1, "record"}, {1.2, "met"}, {1.3, "missed"}} {
		r := results()
		for _, s := range r.Samples {
			if s.Relay == "module" {
				s.Values[figures.CPUPerGiB] *= tt.factor
			}
		}
		judged := r.Judge("module", "tlsraw")
		if got := judged[0].Verdict; got != tt.want {
			t.Errorf("factor %g: %s, want %s", tt.factor, got, tt.want)
		}
		if got := judged[1].Verdict; got != "not measured" {
			t.Errorf("a line without samples is %s", got)
		}
	}
}

func TestWriteTables(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	if err := results().WriteTables(&b, "module", "tlsraw"); err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(b.String(), "### bulk-16: <16> cameras\n\n")
	table, _, _ = strings.Cut(table, "\n\n")
	want := `| relay   | CPU s/GiB           | MB/s | × tlsraw            | × haproxy |
|---------|--------------------:|-----:|--------------------:|----------:|
| module  | 2.00 (0.90 to 3.60) | 100  | 0.90 (0.90 to 1.00) | –         |
| tlsraw  | 2.00 (1.00 to 4.00) | 200  | 1.00                | –         |
| haproxy | not installed       |      |                     |           |`
	if diff := cmp.Diff(want, table); diff != "" {
		t.Error(diff)
	}
	if !strings.Contains(b.String(), "| 1.15          | 0.95     | 0.90 (0.90 to 1.00) | record ") {
		t.Errorf("the bar is missing:\n%s", b.String())
	}
}

// A note that is too long for a cell follows the table once.
func TestWriteTables_notes(t *testing.T) {
	t.Parallel()
	r := results()
	const long = "5000 tunnels would need 30300 open files, ulimit -n allows 20000"
	for i := range r.Samples {
		r.Samples[i].Note = long // also where there are values
	}
	var b strings.Builder
	if err := r.WriteTables(&b, "module", "tlsraw"); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(b.String(), "\nhaproxy: "+long+"\n"); n != 1 || !strings.Contains(b.String(), "| see below ") {
		t.Errorf("the note is there %d times:\n%s", n, b.String())
	}
}

func TestWriteJSON(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	if err := results().WriteJSON(&b, "module", "tlsraw"); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Samples []figures.Sample
		Ratios  []struct {
			Relay, Base string
			Median      float64
		}
		Bar []figures.Judged
	}
	if err := json.Unmarshal([]byte(b.String()), &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Samples) != 9 || len(got.Ratios) != 1 || got.Ratios[0].Median != 0.9 || got.Bar[0].Verdict != "record" {
		t.Errorf("JSON: %s", b.String())
	}
}

func TestWriteSVG_isXML(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	if err := results().WriteSVG(&b, "module", "tlsraw"); err != nil {
		t.Fatal(err)
	}
	dots := 0
	decoder := xml.NewDecoder(strings.NewReader(b.String()))
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == "circle" {
			dots++
		}
	}
	if dots != 1 { // neither the base nor a relay without values has one
		t.Errorf("%d dots, want 1", dots)
	}
}

// A phase with rows of its own has only those, and its ratio is to its own base; the other
// phases do not have them.
func TestWriteTables_rowsOfAPhase(t *testing.T) {
	t.Parallel()
	r := results()
	r.Relays = append(r.Relays, figures.Relay{Name: "gateway"}, figures.Relay{Name: "gortsplib", Base: true})
	r.Phases = append(r.Phases, figures.Phase{
		Name: "gateway-readers-100", Text: "players", Rows: []string{"gateway", "gortsplib"}, Base: "gortsplib",
		Metrics: []figures.Metric{{Key: figures.CPUPercent, Title: "CPU %", Digits: 1}},
	})
	for round := range 3 {
		for relay, cpu := range map[string]float64{"gateway": 4, "gortsplib": 20} {
			r.Samples = append(r.Samples, figures.Sample{
				Round: round + 1, Phase: "gateway-readers-100", Relay: relay, Values: map[string]float64{figures.CPUPercent: cpu},
			})
		}
	}
	var b, plot strings.Builder
	if err := errors.Join(r.WriteTables(&b, "module", "tlsraw"), r.WriteSVG(&plot, "module", "tlsraw")); err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(b.String(), "### gateway-readers-100: players\n\n")
	table, _, _ = strings.Cut(table, "\n\n")
	want := `| relay     | CPU %               | × gortsplib         |
|-----------|--------------------:|--------------------:|
| gateway   | 4.0 (4.0 to 4.0)    | 0.20 (0.20 to 0.20) |
| gortsplib | 20.0 (20.0 to 20.0) | 1.00                |`
	if diff := cmp.Diff(want, table); diff != "" {
		t.Error(diff)
	}
	_, first, _ := strings.Cut(b.String(), "### bulk-16")
	first, _, _ = strings.Cut(first, "###")
	if strings.Contains(first, "gateway") || strings.Contains(first, "gortsplib") {
		t.Errorf("another phase has the rows, too:\n%s", first)
	}
	if !strings.Contains(b.String(), "| 0.20 (0.20 to 0.20) | met ") {
		t.Errorf("the bar has no line for the gateway:\n%s", b.String())
	}
	if strings.Contains(plot.String(), "gateway") {
		t.Error("the plot has a phase without a ratio to its base")
	}
}
