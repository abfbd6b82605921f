package config

import (
	"slices"
	"strings"
)

// nearest returns the known name that differs least from a mistyped one, or an empty text
// if all differ by more than half of it, or by more than 3 letters. Case does not count.
func nearest(name string, known []string) string {
	const longest = 64
	if len(name) > longest {
		return ""
	}
	slices.Sort(known)
	best, least := "", min(3, len(name)/2)+1
	for _, k := range known {
		if d := distance(strings.ToLower(name), strings.ToLower(k)); d < least {
			best, least = k, d
		}
	}
	return best
}

// distance is the edit distance of Levenshtein: inserted, deleted and replaced bytes.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			above := row[j+1]
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, above, row[j])
			}
			diagonal, row[j+1] = above, cost
		}
	}
	return row[len(b)]
}
