package figures

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// WriteTables writes Markdown: a table for each phase, with medians and, in parentheses,
// least and most; then the bar.
func (r *Results) WriteTables(w io.Writer, module, base string) error {
	var b strings.Builder
	m := r.Machine
	fmt.Fprintf(&b, "%s, %d cores, %.0f GiB, Linux %s, %s; %s; load average before: %s\n\n", m.Processor, m.Cores, m.MemoryGiB, m.Kernel, m.Go, m.Module, m.LoadAvg)
	fmt.Fprintf(&b, "%s; %d rounds, %.0f s in all; medians (least to most)\n", r.Command, r.Rounds, r.Seconds)
	b.WriteString("\n")
	for _, relay := range r.Relays {
		fmt.Fprintf(&b, "- %s: %s\n", relay.Name, relay.Text)
	}
	for _, p := range r.Phases {
		fmt.Fprintf(&b, "\n### %s: %s\n\n", p.Name, p.Text)
		align(&b, r.phaseRows(p))
		for _, note := range r.longNotes(p.Name) {
			fmt.Fprintf(&b, "\n%s\n", note)
		}
	}
	b.WriteString("\n### The bar\n\n")
	align(&b, r.barRows(module, base))
	_, err := io.WriteString(w, b.String())
	return err
}

// phaseRows returns a phase's table, its heading first.
func (r *Results) phaseRows(p Phase) [][]string {
	head := []string{"relay"}
	for _, m := range p.Metrics {
		head = append(head, m.Title)
	}
	for _, base := range r.bases(p) {
		head = append(head, "× "+base.Name)
	}
	rows := [][]string{head}
	for _, relay := range r.relaysOf(p) {
		rows = append(rows, r.phaseRow(p, relay.Name))
	}
	return rows
}

func (r *Results) phaseRow(p Phase, relay string) []string {
	row := []string{relay}
	if note := r.Note(p.Name, relay); note != "" {
		if !short(note) {
			note = "see below"
		}
		return append(row, note)
	}
	for i, m := range p.Metrics {
		row = append(row, text(r.Value(p.Name, m.Key, relay), m.Digits, i == 0))
	}
	for _, base := range r.bases(p) {
		row = append(row, text(r.Ratio(p.Name, p.Metrics[0].Key, relay, base.Name), 2, base.Name != relay))
	}
	return row
}

// short reports whether a note fits into a table's cell.
func short(note string) bool { return len(note) < 30 && !strings.Contains(note, "\n") }

// longNotes returns a phase's notes that are in no cell, each once.
func (r *Results) longNotes(phase string) []string {
	var notes []string
	for _, s := range r.Samples {
		if s.Phase != phase || s.Note == "" || len(s.Values) == 0 && short(s.Note) {
			continue
		}
		if note := s.Relay + ": " + s.Note; !slices.Contains(notes, note) {
			notes = append(notes, note)
		}
	}
	return notes
}

func (r *Results) barRows(module, base string) [][]string {
	rows := [][]string{{"figure", "must, at most", "record", "measured", ""}}
	for _, j := range r.Judge(module, base) {
		measured := "–"
		if s := j.Measured; s.N > 0 {
			measured = fmt.Sprintf("%s (%.*f to %.*f)", j.line.number(s.Median), j.line.Digits, s.Min, j.line.Digits, s.Max)
		}
		rows = append(rows, []string{j.Figure, j.line.number(j.Must), j.line.number(j.Record), measured, j.Verdict})
	}
	return rows
}

// text formats a median, with its spread if wanted.
func text(s Stat, digits int, spread bool) string {
	switch {
	case s.N == 0:
		return "–"
	case s.N == 1 || !spread:
		return fmt.Sprintf("%.*f", digits, s.Median)
	}
	return fmt.Sprintf("%.*f (%.*f to %.*f)", digits, s.Median, digits, s.Min, digits, s.Max)
}

// align writes rows as a Markdown table with aligned columns.
func align(b *strings.Builder, rows [][]string) {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell), 3)
		}
	}
	for n, row := range rows {
		for i, width := range widths {
			cell := ""
			if i < len(row) {
				cell = row[i]
			}
			b.WriteString("| " + cell + strings.Repeat(" ", width-utf8.RuneCountInString(cell)) + " ")
		}
		b.WriteString("|\n")
		if n > 0 {
			continue
		}
		for i, width := range widths {
			end := "-"
			if i > 0 {
				end = ":" // numbers are aligned to the right
			}
			b.WriteString("|" + strings.Repeat("-", width+1) + end)
		}
		b.WriteString("|\n")
	}
}
