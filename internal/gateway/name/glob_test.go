package name_test

import (
	"regexp"
	"strings"
	"testing"

	"rtsptunnel/internal/gateway/name"
)

func TestMatch(t *testing.T) {
	tests := []struct {
		glob, name string
		want       bool
	}{
		{"*", "edge1/front", true},
		{"edge1/*", "edge1/front", true},
		{"edge1/*", "edge1/rtsptunnel.front", true},
		{"edge1/*", "edge10/front", false},
		{"edge1*/*", "edge10/front", true},
		{"*/front", "edge1/front", true},
		{"*/front", "edge1/side/front", false},
		{"*/*", "edge1/front", true},
		{"*/*", "edge1/front/sub", false},
		{"edge1/front", "edge1/front", true},
		{"edge1/front", "edge1/Front", false},
		{"edge1/front*", "edge1/front", true},
		{"site-*-edge/*cam*", "site-7-edge/frontcam2", true},
		{"site-*-edge/*cam*", "site-7/edge/cam", false},
		{"e?ge1/[a-z]*", "edge1/front", false},
		{"e?ge1/[a-z]*", "e?ge1/[a-z]1", true},
		{"e.ge1/f", "edge1/f", false},
		{"a*b*c/x", "aXbYbZc/x", true},
		{"a*b*c/x", "aXbYbZ/x", false},
		{"edge1*", "edge1/front", false},
		{"", "edge1/front", false},
		{"edge1/", "edge1/front", false},
	}
	for _, tt := range tests {
		if got := name.Match(tt.glob, tt.name); got != tt.want {
			t.Errorf("Match(%q, %q) = %v", tt.glob, tt.name, got)
		}
	}
}

func TestCheckGlob(t *testing.T) {
	for _, good := range []string{"*", "*/*", "edge1/*", "*/front", "50%/a*", "edge1/front"} {
		if err := name.CheckGlob(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{"", "edge1", "edge1*", "**", "edge1/**", "a/b/c", "*/*/*", "/", "a /b"} {
		if err := name.CheckGlob(bad); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}

// A glob matches what a regular expression with the same meaning matches.
func FuzzMatch(f *testing.F) {
	f.Add("edge*/*a*b", "edge1/xaxb")
	f.Add("*", "a/b")
	f.Add("a**a/", "aa/")
	f.Fuzz(func(t *testing.T, glob, text string) {
		if len(glob) > 100 || len(text) > 100 {
			return
		}
		expression := regexp.QuoteMeta(strings.ToValidUTF8(glob, "x"))
		expression = `(?s)\A` + strings.ReplaceAll(expression, `\*`, `[^/]*`) + `\z`
		glob, text = strings.ToValidUTF8(glob, "x"), strings.ToValidUTF8(text, "x")
		want := glob == "*" || regexp.MustCompile(expression).MatchString(text)
		if got := name.Match(glob, text); got != want {
			t.Errorf("Match(%q, %q) = %v, want %v", glob, text, got, want)
		}
	})
}
