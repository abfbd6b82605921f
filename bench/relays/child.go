package relays

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
)

// child is this program once more, as one of its helpers: it is commanded by lines on its
// standard input, answers with lines, and ends when its input does.
type child struct {
	process *process
	input   io.WriteCloser
	output  *os.File
	lines   *bufio.Scanner
}

// startChild starts this program with args. The caller closes the result.
func (l *Lab) startChild(args ...string) (*child, error) {
	cmd := exec.Command(l.self, args...) //nolint:gosec,noctx // G204: this very binary; close ends it
	input, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	output, theirs, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd.Stdout = theirs
	p, err := start(cmd)
	_ = theirs.Close()
	if err != nil {
		return nil, errors.Join(err, output.Close())
	}
	return &child{process: p, input: input, output: output, lines: bufio.NewScanner(output)}, nil
}

// line returns the next line of its output.
func (c *child) line() (string, error) {
	if !c.lines.Scan() {
		<-c.process.ended
		return "", fmt.Errorf("%s ended: %s", c.process.cmd.Args[1], c.process.tail())
	}
	return c.lines.Text(), nil
}

// answer decodes the next line of its output.
func (c *child) answer(v any) error {
	text, err := c.line()
	if err != nil {
		return err
	}
	return json.Unmarshal([]byte(text), v)
}

// command writes a line to it.
func (c *child) command(line string) error {
	_, err := io.WriteString(c.input, line+"\n")
	return err
}

func (c *child) close() {
	_ = c.input.Close()
	c.process.kill() // it has nothing to save
	_ = c.output.Close()
}
