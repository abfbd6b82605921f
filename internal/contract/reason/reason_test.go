package reason_test

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"strings"
	"testing"

	"rtsptunnel/internal/contract/reason"
)

func TestCodes_haveShapeAndText(t *testing.T) {
	shape := regexp.MustCompile(`^[A-Z][A-Z0-9_]+$`)
	for _, c := range reason.Codes() {
		if !shape.MatchString(string(c)) {
			t.Errorf("code %q is not upper case, digits and underscores", c)
		}
		if c.Text() == string(c) || strings.HasSuffix(c.Text(), ".") {
			t.Errorf("code %q has the text %q", c, c.Text())
		}
	}
}

// Every constant has a text, and every text has a constant.
func TestCodes_areAllListed(t *testing.T) {
	f, err := parser.ParseFile(token.NewFileSet(), "reason.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	constants := 0
	ast.Inspect(f, func(n ast.Node) bool {
		if d, ok := n.(*ast.GenDecl); ok && d.Tok == token.CONST {
			constants += len(d.Specs)
		}
		return true
	})
	if got := len(reason.Codes()); got != constants {
		t.Errorf("%d codes have a text, %d constants are declared", got, constants)
	}
}

func TestClass(t *testing.T) {
	want := map[reason.Code]reason.Class{
		"":                    reason.InOrder,
		reason.ShuttingDown:   reason.GoingAway,
		reason.Disabled:       reason.PolicyEnd,
		reason.PolicyRemote:   reason.PolicyEnd,
		reason.CameraRemoved:  reason.PolicyEnd,
		reason.CameraChanged:  reason.PolicyEnd,
		reason.CameraDisabled: reason.PolicyEnd,
		reason.LimitIdle:      reason.PolicyEnd,
		reason.LimitAge:       reason.PolicyEnd,
	}
	for _, c := range append(reason.Codes(), "", "UNKNOWN") {
		if got := c.Class(); got != want[c] { // Failure for those that are not listed
			t.Errorf("code %q has class %d, want %d", c, got, want[c])
		}
	}
}

func TestOf(t *testing.T) {
	cause := errors.New("refused by 10.0.0.1")
	err := fmt.Errorf("open: %w", reason.New(reason.CameraRefused, cause))
	if got := reason.Of(err); got != reason.CameraRefused {
		t.Errorf("Of = %q, want %q", got, reason.CameraRefused)
	}
	if !errors.Is(err, cause) {
		t.Error("errors.Is does not find the cause")
	}
	if got := reason.Of(cause); got != reason.Internal {
		t.Errorf("Of(error without a code) = %q, want %q", got, reason.Internal)
	}
	if got := reason.Of(nil); got != "" {
		t.Errorf("Of(nil) = %q, want none", got)
	}
}
