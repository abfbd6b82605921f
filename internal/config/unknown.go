package config

import (
	"slices"
	"strings"
)

// ownNames are the variables of own, which a test holds against its fields.
var ownNames = []string{
	"RTSPTUNNEL_CA_FILE",
	"RTSPTUNNEL_CERT_FILE",
	"RTSPTUNNEL_CONNECTION_STRING",
	"RTSPTUNNEL_CONNECTION_STRING_FILE",
	"RTSPTUNNEL_HUB_ADDRESS",
	"RTSPTUNNEL_HUB_WS_ADDRESS",
	"RTSPTUNNEL_KEY_FILE",
	"RTSPTUNNEL_PROTOCOL",
}

// unknown finds the variables with our prefix that nobody reads: a misspelt one
// would otherwise silently be the default.
func unknown(environ []string) []Fault {
	var faults []Fault
	for _, pair := range environ {
		name, _, _ := strings.Cut(pair, "=")
		if strings.HasPrefix(name, ownPrefix+"_") && !slices.Contains(ownNames, name) {
			faults = append(faults, Fault{name, "is unknown; the nearest known name is " + nearest(name)})
		}
	}
	slices.SortFunc(faults, func(a, b Fault) int { return strings.Compare(a.Variable, b.Variable) })
	return faults
}

// nearest is the known name that takes the fewest edits.
func nearest(name string) string {
	best, edits := "", -1
	for _, known := range ownNames {
		if n := distance(name, known); edits < 0 || n < edits {
			best, edits = known, n
		}
	}
	return best
}

// maxName bounds the work that a name can cause, in bytes.
const maxName = 256

// distance is how many bytes must be put in, taken out or replaced to make b of a
// (Levenshtein's, row by row).
func distance(a, b string) int {
	a = a[:min(len(a), maxName)]
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
