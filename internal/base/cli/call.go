package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/pflag"
)

// Call is one run of a verb.
type Call struct {
	IO

	Args []string // as many as the command declares

	flags *pflag.FlagSet
}

// Given says whether a flag was on the command line.
func (c *Call) Given(name string) bool { return c.flags.Changed(name) }

// Getenv returns a variable of the environment, or nothing.
func (c *Call) Getenv(name string) string {
	value, _ := c.Lookup(name)
	return value
}

// Print writes text to standard output.
func (c *Call) Print(text string) error { return write(c.Out, text) }

// PrintJSON writes a value to standard output, as JSON does.
func (c *Call) PrintJSON(value any) error {
	text, err := JSON(value)
	if err != nil {
		return err
	}
	return c.Print(string(text))
}

// JSON returns a value as indented JSON. A json.RawMessage keeps its order and numbers.
func JSON(value any) ([]byte, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	err := encoder.Encode(value)
	return text.Bytes(), err
}

// Table lines up rows of cells.
func Table(rows [][]string) string {
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 3, ' ', 0)
	for _, row := range rows {
		_, _ = fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	_ = w.Flush() // a strings.Builder accepts everything
	return text.String()
}

func write(w io.Writer, text string) error {
	if _, err := io.WriteString(w, text); err != nil {
		return fmt.Errorf("write to standard output: %w", err)
	}
	return nil
}
