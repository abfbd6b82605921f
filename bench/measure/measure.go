// Package measure implements the program of make bench: it measures the cost of the
// shipped module as a relay, and of the shipped gateway as a server of video, and compares
// them with others in the same run. No binary of the product contains it.
//
// Each round measures each relay in each phase, with a new process for each relay. The
// cameras and the cloud's ends are in this process, those of servers in two others, and
// everything is on loopback. The
// relays take turns, and figures are compared within one round, since other load on the
// machine then affects all relays alike.
//
// A line belongs here when it says what is measured, how long, and in which order. Package
// relays starts the relays, ends provides what they connect, figures writes the results.
package measure

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"rtsptunnel/bench/baseline"
	"rtsptunnel/bench/figures"
	"rtsptunnel/bench/relays"
)

// base is the relay that the bar compares with: it copies TCP to TLS.
const base = baseline.TLSRaw

// bound limits one measurement; the longest takes about ten seconds.
const bound = 3 * time.Minute

// run is one run of the program.
type run struct {
	lab     *relays.Lab
	relays  []relays.Relay
	phases  []phase
	rounds  int
	out     *progress
	results *figures.Results
}

// all measures every relay in every phase of every round. A failed measurement is in the
// results with its reason, and in the error, except for a relay that is not installed and
// for too few open files.
func (r *run) all(ctx context.Context) error {
	var failed []string
	for round := 1; round <= r.rounds; round++ {
		for _, p := range r.phases {
			taking := p.relays(r.relays)
			for i := range taking {
				relay := taking[(i+round-1)%len(taking)] // the first relay changes from round to round
				sample, err := r.measure(ctx, round, p, relay)
				if ctx.Err() != nil {
					return errors.New("interrupted")
				}
				r.results.Samples = append(r.results.Samples, sample)
				r.out.done(sample, p, err)
				if err != nil && !errors.Is(err, relays.ErrNotInstalled) && !errors.Is(err, errDescriptors) {
					failed = append(failed, fmt.Sprintf("round %d, %s, %s", round, p.Name, relay.Name))
				}
			}
		}
	}
	if len(failed) > 0 {
		return errors.New("not measured, or not in full: " + strings.Join(failed, "; "))
	}
	return nil
}

// measure runs one phase with one relay, from the start of its process to its end. The
// sample holds the first line of an error; the lines that follow it are the relay's log.
func (r *run) measure(ctx context.Context, round int, p phase, relay relays.Relay) (figures.Sample, error) {
	sample := figures.Sample{Round: round, Phase: p.Name, Relay: relay.Name}
	r.out.begin(round, p, relay.Name)
	ctx, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	values, err := r.values(ctx, p, relay)
	if err != nil {
		sample.Note, _, _ = strings.Cut(err.Error(), "\n")
	}
	sample.Values = values
	return sample, err
}

func (r *run) values(ctx context.Context, p phase, relay relays.Relay) (map[string]float64, error) {
	if p.serve != nil {
		return p.serve(ctx, served{r.lab, relay.Name})
	}
	instance, err := r.lab.Start(ctx, relay)
	if errors.Is(err, relays.ErrNotInstalled) {
		return nil, relays.ErrNotInstalled
	}
	if err != nil {
		return nil, err
	}
	defer instance.Close()
	return p.measure(ctx, &relayed{Instance: instance, descriptors: relay.Descriptors})
}

// describe sets the results with everything but samples.
func (r *run) describe(ctx context.Context, moduleBinary, command string) {
	r.results = &figures.Results{
		Machine: machine(ctx, moduleBinary), Command: command, Begin: time.Now(), Rounds: r.rounds,
	}
	for _, relay := range r.relays {
		r.results.Relays = append(r.results.Relays, figures.Relay{
			Name: relay.Name, Text: relay.Text, Base: relay.Name != relays.Module && relay.Name != relays.Gateway,
		})
	}
	for _, p := range r.phases {
		r.results.Phases = append(r.results.Phases, p.Phase)
	}
}

// choose returns those of all whose name is a word of wanted, or begins with such a word
// and a dash. It returns all if wanted is empty.
func choose[T any](kind, wanted string, all []T, name func(T) string) ([]T, error) {
	if wanted == "" {
		return all, nil
	}
	var names []string
	for _, one := range all {
		names = append(names, name(one))
	}
	words := strings.Split(wanted, ",")
	fits := func(name, word string) bool { return name == word || strings.HasPrefix(name, word+"-") }
	for _, word := range words {
		if !slices.ContainsFunc(names, func(n string) bool { return fits(n, word) }) {
			return nil, fmt.Errorf("no %s %q; there are %s", kind, word, strings.Join(names, ", "))
		}
	}
	return slices.DeleteFunc(slices.Clone(all), func(one T) bool {
		return !slices.ContainsFunc(words, func(word string) bool { return fits(name(one), word) })
	}), nil
}

// progress writes what is being measured, its result, and the time that is left.
type progress struct {
	w            io.Writer
	start        time.Time
	count, total int
	rounds       int
}

func (p *progress) begin(round int, ph phase, relay string) {
	left := ""
	if p.count >= p.total/10 && p.count > 0 {
		rest := time.Since(p.start) / time.Duration(p.count) * time.Duration(p.total-p.count)
		left = fmt.Sprintf(", about %s left", rest.Round(time.Second))
	}
	p.count++
	_, _ = fmt.Fprintf(p.w, "[%d of %d%s] round %d of %d, %s, %s: ", p.count, p.total, left, round, p.rounds, ph.Name, relay)
}

func (p *progress) done(s figures.Sample, ph phase, err error) {
	m := ph.Metrics[0]
	result := fmt.Sprintf("%.*f %s", m.Digits, s.Values[m.Key], m.Title)
	if err != nil {
		result = err.Error()
	}
	_, _ = fmt.Fprintln(p.w, result)
}
