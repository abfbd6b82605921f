package edgeroute

import (
	"regexp"
	"slices"
	"strings"
)

const bodyPrefix = "$body."

// bodyPath is a path in a body: names, each with at most one index, joined by dots. Edge
// hub ignores what follows (Azure/iotedge,
// Microsoft.Azure.Devices.Routing.Core/query/jsonpath/JsonPath.g4). A name of digits alone
// is an index and not a name.
var (
	bodyPath  = regexp.MustCompile(`^[^.\[\]]+(?:\[[0-9]+\])?(?:\.[^.\[\]]+(?:\[[0-9]+\])?)*`)
	bodyIndex = regexp.MustCompile(`(?:^|\.)[0-9]+(?:[.\[]|$)`)
	bodyBad   = regexp.MustCompile(`^(?:\[[^0-9\]]|\[\]|\[[0-9]+[^0-9\]]|\[$|\[[0-9]+$|\.$|\.[.\[\]])`)
)

// systemProperty returns the type of a name that begins with $.
func (p *parser) systemProperty(t token) valueType {
	if len(t.text) < len(bodyPrefix) || !strings.EqualFold(t.text[:len(bodyPrefix)], bodyPrefix) {
		if strings.ContainsAny(t.text, "[]") {
			return typeUndefined
		}
		return typeText
	}
	path := t.text[len(bodyPrefix):]
	good := bodyPath.FindString(path)
	rest := path[len(good):]
	if good == "" || bodyIndex.MatchString(good) || bodyBad.MatchString(rest) {
		p.fail(t.offset, "has a condition with an invalid path after $body", "write names joined by dots, each with at most one index, as in $body.list[0].name")
		return typeBody
	}
	if rest != "" {
		p.find("has a path after $body whose end edge hub ignores", "write names joined by dots, each with at most one index, as in $body.list[0].name")
	}
	return typeBody
}

// words are the words of the language that exist in lower case only.
var words = []string{"true", "false", "null", "undefined"}

// checkProperty reports names of properties that look like something else.
func (p *parser) checkProperty(t token) {
	switch lower := strings.ToLower(t.text); {
	case slices.Contains(words, lower):
		p.find("has "+strings.ToUpper(lower)+" in capital letters, which edge hub reads as the name of a property", "write "+lower)
	case strings.ContainsAny(t.text, `!'|+*%`) || t.text[0] == '-':
		p.find("has an operator or a quote inside of a name, which edge hub reads as a part of the name", "put spaces around operators")
	}
}
