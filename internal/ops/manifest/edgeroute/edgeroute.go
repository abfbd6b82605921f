// Package edgeroute parses the routes of IoT Edge's edge hub and checks their conditions
// as edge hub does. It knows no modules and no manifests.
//
// The grammar follows edge hub's sources (Azure/iotedge, edge-hub/core/src,
// Microsoft.Azure.Devices.Routing.Core/grammar: Route.g4, Condition.g4, GrammarLexer.g4).
// Edge hub works in two stages: it parses all routes and reports success, and then it
// compiles their conditions. Parse does both, because a condition that only parses stops
// edge hub's next start.
//
// Errors and findings contain positions and words of the grammar, but no names and texts
// of the route, because a condition may hold a secret.
package edgeroute

import (
	"fmt"
	"strings"
)

// Route is a route that edge hub accepts.
type Route struct {
	// SourceModule is the module whose messages the route takes. It is empty if the source
	// has messages of several modules, or of none.
	SourceModule string
	// SinkModule is the module that gets the messages; empty for $upstream.
	SinkModule string
	// Findings are parts of the route that edge hub accepts and then ignores, or that have
	// another effect than they seem to have.
	Findings []Finding
}

// Finding is one fault of a route, and what to do.
type Finding struct{ Text, Remedy string }

// Error is the reason why edge hub rejects a route.
type Error struct {
	Finding
	// Offset is where the fault is, in bytes from the start of the route.
	Offset int
}

// Error returns the fault, its place and the remedy.
func (e *Error) Error() string { return e.Where() + "; " + e.Remedy }

// Where returns the fault and its place.
func (e *Error) Where() string { return fmt.Sprintf("%s (at byte %d)", e.Text, e.Offset+1) }

// parser reads the tokens of one route.
type parser struct {
	tokens  []token
	next    int
	comment int // offset of the first comment, or -1
	depth   int // of nested expressions
	route   Route
	failed  *Error // the first fault
}

// Parse parses a route and checks its condition. The error is an *Error.
func Parse(text string) (*Route, error) {
	p := &parser{}
	p.tokens, p.comment = scan(text)
	p.parse()
	if p.failed != nil {
		return nil, p.failed
	}
	return &p.route, nil
}

const example = `such as FROM /messages/* INTO $upstream`

// parse implements: [SELECT *] FROM source [WHERE condition] INTO sink.
func (p *parser) parse() {
	if p.at(kindSelect) {
		p.take()
		p.expect(kindMultiply, "SELECT is not followed by *", "write SELECT * FROM, or leave out SELECT *")
	}
	p.expect(kindFrom, "is not a route: FROM is missing", "write FROM SOURCE [WHERE CONDITION] INTO SINK, "+example)
	p.parseSource()
	if p.failed == nil && p.at(kindWhere) {
		p.take()
		p.parseCondition()
		if !p.at(kindInto) {
			p.fail(p.current().offset, "has a condition that edge hub cannot parse: an operator or INTO is expected here", operators)
		}
	}
	p.expect(kindInto, "is not a route: INTO is expected here", "write FROM SOURCE [WHERE CONDITION] INTO SINK, "+example)
	p.parseSink()
	if p.comment >= 0 && p.comment < p.current().offset {
		p.find("has a comment from /* to */, which edge hub skips", "remove the comment; a source has * only at its end")
	}
	if p.failed == nil && !p.at(kindEnd) {
		p.find("has text after its sink, which edge hub ignores", "remove it; a condition belongs between FROM SOURCE and INTO")
	}
}

// current returns the next token, which is of kindEnd after the last.
func (p *parser) current() token { return p.tokens[p.next] }

func (p *parser) at(k kind) bool { return p.current().kind == k }

// take returns the next token and advances.
func (p *parser) take() token {
	t := p.current()
	if t.kind != kindEnd {
		p.next++
	}
	return t
}

// expect takes a token of one kind, or fails.
func (p *parser) expect(k kind, text, remedy string) token {
	t := p.current()
	if t.kind != k {
		p.fail(t.offset, text, remedy)
		return t
	}
	return p.take()
}

// fail records the first fault.
func (p *parser) fail(offset int, text, remedy string) {
	if p.failed == nil {
		p.failed = &Error{Finding{text, remedy}, offset}
	}
}

// find records a finding.
func (p *parser) find(text, remedy string) {
	for _, f := range p.route.Findings {
		if f.Text == text {
			return
		}
	}
	p.route.Findings = append(p.route.Findings, Finding{text, remedy})
}

// parseSource implements: one or more of /ITEM, where an item is * or a name.
func (p *parser) parseSource() {
	if p.failed != nil {
		return
	}
	const remedy = "write a path, such as /messages/* or /messages/modules/NAME/outputs/*"
	if !p.at(kindDivide) {
		p.fail(p.current().offset, "has a source that does not begin with /", remedy)
		return
	}
	var items []string
	for p.at(kindDivide) {
		p.take()
		item := p.current()
		if item.kind != kindMultiply && item.kind != kindName {
			p.fail(item.offset, "has a source with a / that no name follows", "remove it, or write a name that is neither a number nor a word of the language, such as true, not or into")
			return
		}
		items = append(items, p.take().text)
	}
	p.checkSource(items)
}

// checkSource compares a source with those that messages have: Azure/iotedge,
// Microsoft.Azure.Devices.Edge.Hub.Core/routing/RoutingMessageConverter.cs, and
// Microsoft.Azure.Devices.Routing.Core/messageSources/CustomMessageSource.cs, which removes
// * and / from the end and compares whole items, in any letter case.
func (p *parser) checkSource(items []string) {
	path := strings.TrimRight(strings.Join(items, "/"), "*/")
	if path == "" {
		return
	}
	items = strings.Split(path, "/")
	const documented = "use a documented source, such as /messages/* or /messages/modules/NAME/outputs/OUTPUT"
	for _, item := range items {
		if strings.Contains(item, "*") {
			p.find("has a source with a * before its end, which edge hub reads as a character of a name, so that it never matches", "use * only as the last item")
			return
		}
	}
	pattern := []string{"messages", "modules", "", "outputs", ""}
	if strings.EqualFold(items[0], "twinChangeNotifications") {
		pattern = []string{items[0]}
	}
	for i, item := range items {
		if i >= len(pattern) || pattern[i] != "" && !strings.EqualFold(pattern[i], item) {
			p.find("has a source that is not documented, and that no message has", documented)
			return
		}
	}
	if len(items) > 2 {
		p.route.SourceModule = items[2]
	}
}

const sinkRemedy = `write $upstream, or BrokeredEndpoint("/modules/NAME/inputs/INPUT")`

// parseSink implements edge hub's two kinds of sinks: Azure/iotedge,
// Microsoft.Azure.Devices.Edge.Hub.Core/routing/EndpointFactory.cs.
func (p *parser) parseSink() {
	if p.failed != nil {
		return
	}
	t := p.current()
	switch {
	case t.kind == kindSystem && strings.EqualFold(t.text, "$upstream"):
		p.take()
	case t.kind == kindName && strings.EqualFold(t.text, "BrokeredEndpoint"):
		p.take()
		p.expect(kindOpen, "has an invalid sink: ( is expected here", sinkRemedy)
		address := p.expect(kindString, "has an invalid sink: a text in quotes is expected here", sinkRemedy)
		p.expect(kindClose, "has an invalid sink: ) is expected here", sinkRemedy)
		if p.failed == nil {
			p.parseAddress(address)
		}
	default:
		p.fail(t.offset, "has an invalid sink", sinkRemedy)
	}
}

// parseAddress splits /modules/NAME/inputs/INPUT. Edge hub removes one slash from each
// end and reads only the second and the fourth item.
func (p *parser) parseAddress(t token) {
	address := strings.TrimSpace(t.text[1 : len(t.text)-1])
	address = strings.TrimSuffix(strings.TrimPrefix(address, "/"), "/")
	items := strings.Split(address, "/")
	if len(items) != 4 {
		p.fail(t.offset, "has a sink that is not a module's input", sinkRemedy)
		return
	}
	if items[0] != "modules" || items[2] != "inputs" || items[1] == "" || items[3] == "" {
		p.find("has a sink that edge hub accepts, but that is not /modules/NAME/inputs/INPUT", sinkRemedy)
	}
	p.route.SinkModule = items[1]
}
