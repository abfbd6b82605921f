// Package measure is the program of make bench: it measures what the shipped module
// costs as a relay, against other relays in the same run. It is in none of the
// product's binaries.
//
// In each round each relay is measured in each phase by a fresh process of its own,
// with the cameras and the cloud's ends in this one, all on loopback. The relays take
// turns, and what is compared are the figures of one round: on a machine that others
// use, too, a round's minute is the same for all.
//
// A line belongs here when it says what is measured, how long, and in which order.
// Package relays starts the relays, ends is what they are between, figures makes
// tables of what comes out.
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

// base is whom the bar names: the copy from TCP to TLS.
const base = baseline.TLSRaw

// bound is what one measurement may take; the longest takes some ten seconds.
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

// all measures everything, and tells whether the module was measured wherever it
// should. What could not be measured stands in the results with its reason.
func (r *run) all(ctx context.Context) error {
	var failed []string
	for round := 1; round <= r.rounds; round++ {
		for _, p := range r.phases {
			for i := range r.relays {
				relay := r.relays[(i+round-1)%len(r.relays)] // nobody is always first
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

// measure is one phase with one relay, from the start of its process to its end. The
// sample has the first line of an error; more lines are the relay's log.
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

// describe is the results' head.
func (r *run) describe(ctx context.Context, moduleBinary, command string) {
	r.results = &figures.Results{
		Machine: machine(ctx, moduleBinary), Command: command, Begin: time.Now(), Rounds: r.rounds,
	}
	for _, relay := range r.relays {
		r.results.Relays = append(r.results.Relays, figures.Relay{
			Name: relay.Name, Text: relay.Text, Base: relay.Name != relays.Module,
		})
	}
	for _, p := range r.phases {
		r.results.Phases = append(r.results.Phases, p.Phase)
	}
}

// choose keeps those of all whose name is in wanted, or begins with one of it and a
// dash; everything if that is empty.
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

// progress says what is being measured, what came out, and how long it will go on.
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
	said := fmt.Sprintf("%.*f %s", m.Digits, s.Values[m.Key], m.Title)
	if err != nil {
		said = err.Error()
	}
	_, _ = fmt.Fprintln(p.w, said)
}
