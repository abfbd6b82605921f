package manifest

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"rtsptunnel/internal/base/jsontree"
)

// agentPieces is how many pieces edge agent reads: Azure/iotedge,
// edge-agent/src/Microsoft.Azure.Devices.Edge.Agent.Docker/Constants.cs,
// TwinValueMaxChunks. It has no limit for their size.
const agentPieces = 100

var (
	// pieceForm is the name of a piece. It is not anchored and ignores case, as in
	// Azure/iotedge, edge-util/src/Microsoft.Azure.Devices.Edge.Util/JsonEx.cs,
	// ChunkedProperty: any setting that contains createOptions counts as a piece.
	pieceForm = regexp.MustCompile(`(?i:createOptions)([0-9]*)`)
	// schemaPiece is the name of a piece in the schema azure-iot-edgeagent-deployment-1.1
	// (SchemaStore/schemastore, src/schemas/json), which az applies to full deployments.
	schemaPiece = regexp.MustCompile(`^(?:createoptions|createOptions)[0-9]*$`)
)

// piece is a setting that edge agent reads as a part of createOptions.
type piece struct {
	name   string
	number string // the digits at its end
	value  *jsontree.Value
}

// pieces returns the pieces of a module's createOptions in edge agent's order: by name,
// without regard to case.
func (s settings) pieces() []piece {
	var pieces []piece
	for _, m := range s.object.All() {
		name, below := strings.CutPrefix(m.Name, s.prefix)
		if !below {
			continue
		}
		if form := pieceForm.FindStringSubmatch(name); form != nil {
			pieces = append(pieces, piece{name, form[1], m.Value})
		}
	}
	slices.SortStableFunc(pieces, func(a, b piece) int { return cmp.Compare(strings.ToUpper(a.name), strings.ToUpper(b.name)) })
	return pieces[:min(len(pieces), agentPieces)]
}

// joinOptions returns the text of a module's createOptions, joined from its pieces, and
// the name of the first one. ok is false after a problem with the pieces, and if there
// are none.
func (c *checker) joinOptions(s settings) (first, text string, ok bool) {
	var joined strings.Builder
	pieces := s.pieces()
	for i, p := range pieces {
		if !p.value.Is(jsontree.String) { // pieceShape reports it
			return "", "", false
		}
		if problem, remedy := p.check(i, pieces); problem != "" {
			c.fault(s.place(p.name), problem+": edge agent rejects the whole configuration", remedy)
			return "", "", false
		}
		if !schemaPiece.MatchString(p.name) {
			c.warn(s.place(p.name), "is read by edge agent, but has a name that az refuses", "rename it to "+pieceName(i))
		}
		if utf8.RuneCountInString(p.value.Text) > pieceSize {
			c.warn(s.place(p.name), fmt.Sprintf("is longer than %d characters, the limit of Microsoft's tools", pieceSize), "split it, or expand its template with tunnelctl manifest expand")
		}
		joined.WriteString(p.value.Text)
	}
	if len(pieces) == 0 {
		return "", "", false
	}
	return pieces[0].name, joined.String(), true
}

// check returns the problem of piece i in edge agent's order, and its remedy. The first
// piece has no number, and each other one its place as a number: JsonEx.cs,
// ChunkedProperty.Validate.
func (p piece) check(i int, all []piece) (problem, remedy string) {
	const missing = "has no piece before it"
	number, err := strconv.ParseInt(p.number, 10, 32)
	switch {
	case i == 0 && p.number == "", i > 0 && err == nil && number == int64(i):
		return "", ""
	case i == 0:
		return missing, "add " + createOptions + ", or rename this piece to it"
	case err != nil:
		return "counts as one more piece of createOptions, but has no number", "remove it, or rename it"
	case number < int64(i), slices.ContainsFunc(all, func(other piece) bool { n, err := strconv.Atoi(other.number); return err == nil && n == i }):
		return "is out of order, because edge agent sorts the pieces by name", "give each number once, with two digits: " + pieceName(i) + " is expected here"
	}
	return missing, "add " + pieceName(i) + ", or rename this piece to it"
}
