package figures

import (
	"fmt"
	"html"
	"io"
	"math"
	"strings"
)

// The plot's measures, in pixels.
const (
	plotLeft  = 220 // where the scale begins, to the right of the names
	plotWidth = 560
	rowHeight = 18
	gap       = 14 // between phases
	plotTop   = 64
)

// The scale is logarithmic: half and double are equally far from 1.
const (
	least = 1.0 / 8
	mostX = 16.0
)

func plotX(ratio float64) float64 {
	clamped := min(max(ratio, least), mostX)
	return plotLeft + plotWidth*math.Log2(clamped/least)/math.Log2(mostX/least)
}

// WriteSVG draws, for each phase and relay, the ratio of the phase's first metric to base:
// a dot for the median, and a line from the least to the most of all rounds.
func (r *Results) WriteSVG(w io.Writer, module, base string) error {
	var rows strings.Builder
	y := plotTop
	for _, p := range r.Phases {
		if len(r.ratiosTo(p, base)) == 0 {
			continue
		}
		fmt.Fprintf(&rows, "<text x=\"8\" y=\"%d\" class=\"phase\">%s</text>\n", y+4, html.EscapeString(p.Name))
		for _, relay := range r.ratiosTo(p, base) {
			drawRow(&rows, y, relay, r.Ratio(p.Name, p.Metrics[0].Key, relay, base), relay == module)
			y += rowHeight
		}
		y += gap
	}
	var b strings.Builder
	fmt.Fprintf(&b, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" font-family=\"sans-serif\" font-size=\"12\">\n", plotLeft+plotWidth+90, y+12)
	b.WriteString("<style>.phase{font-weight:bold}.grid{stroke:#ddd}.one{stroke:#888;stroke-width:2}.module{fill:#c2410c;stroke:#c2410c}.other{fill:#475569;stroke:#475569}text{stroke:none}</style>\n")
	b.WriteString("<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n")
	fmt.Fprintf(&b, "<text x=\"8\" y=\"20\" font-size=\"15\">Cost as a multiple of %s in the same round; less is better</text>\n", html.EscapeString(base))
	fmt.Fprintf(&b, "<text x=\"8\" y=\"38\" fill=\"#555\">median of %d rounds, line from least to most: %s</text>\n", r.Rounds, html.EscapeString(r.Begin.UTC().Format("2006-01-02 15:04 UTC")))
	drawGrid(&b, y)
	b.WriteString(rows.String() + "</svg>\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// ratiosTo returns the relays that have a ratio to base in a phase, other than base.
func (r *Results) ratiosTo(p Phase, base string) []string {
	var names []string
	for _, relay := range r.relaysOf(p) {
		if relay.Name != base && r.Ratio(p.Name, p.Metrics[0].Key, relay.Name, base).N > 0 {
			names = append(names, relay.Name)
		}
	}
	return names
}

func drawGrid(b *strings.Builder, bottom int) {
	for v := least; v <= mostX; v *= 2 {
		class := "grid"
		if v == 1 {
			class = "one"
		}
		fmt.Fprintf(b, "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\" class=\"%s\"/>\n", plotX(v), plotX(v), plotTop-8, bottom-gap, class)
		fmt.Fprintf(b, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\" fill=\"#555\">%g</text>\n", plotX(v), plotTop-12, v)
	}
}

func drawRow(b *strings.Builder, y int, name string, s Stat, own bool) {
	class := "other"
	if own {
		class = "module"
	}
	fmt.Fprintf(b, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%s</text>\n", plotLeft-10, y+4, html.EscapeString(name))
	fmt.Fprintf(b, "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\" class=\"%s\" stroke-width=\"2\"/>\n", plotX(s.Min), plotX(s.Max), y, y, class)
	fmt.Fprintf(b, "<circle cx=\"%.1f\" cy=\"%d\" r=\"4.5\" class=\"%s\"/>\n", plotX(s.Median), y, class)
	fmt.Fprintf(b, "<text x=\"%d\" y=\"%d\">%.2f</text>\n", plotLeft+plotWidth+14, y+4, s.Median)
}
