// Command sbom writes the bill of materials of an image of the module, in CycloneDX's
// JSON, to standard output. It lists the binary with the Go modules that it was built
// from, the standard library among them, and every other file. .ci/image calls it; no
// image contains it.
//
//	sbom ARCHIVE    an archive of docker save, or of buildah push docker-archive:
//
// The same archive gives the same bytes. The dependencies between the Go modules are
// missing, because a binary does not contain them.
package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		_, _ = fmt.Fprintf(os.Stderr, "sbom: %v\n", err)
		os.Exit(1)
	}
}

func run(args []string, stdout io.Writer) error {
	if len(args) != 1 {
		return errors.New("want one argument, an archive of docker save")
	}
	archive, err := os.ReadFile(args[0]) //nolint:gosec // G703: the argument names the file
	if err != nil {
		return err
	}
	i, err := readImage(bytes.NewReader(archive))
	if err != nil {
		return fmt.Errorf("%s: %w", args[0], err)
	}
	bom, err := describe(i)
	if err != nil {
		return fmt.Errorf("%s: %w", args[0], err)
	}
	return cdx.NewBOMEncoder(stdout, cdx.BOMFileFormatJSON).SetPretty(true).SetEscapeHTML(false).EncodeVersion(bom, cdx.SpecVersion1_6)
}

func sha(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
