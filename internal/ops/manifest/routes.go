package manifest

import (
	"errors"
	"strings"

	"rtsptunnel/internal/base/jsontree"
	"rtsptunnel/internal/ops/manifest/edgeroute"
)

// checkRoute validates one route that is a string, as edge hub does: Azure/iotedge,
// Microsoft.Azure.Devices.Edge.Hub.Core/config/EdgeHubConfigParser.cs. One invalid route
// makes edge hub reject the whole configuration.
func checkRoute(c *checker, v *jsontree.Value, at place) {
	if !v.Is(jsontree.String) || strings.Contains(v.Text, "${") {
		return // routeText validates the object's member route; checkPlaceholders reports ${
	}
	if strings.TrimSpace(v.Text) == "" && c.hub == hubVersion10 {
		c.warn(at, "is empty, and edge hub ignores it", "remove it: az refuses an empty route")
		return
	}
	if len(v.Text) > maxTwinText {
		return // checkFormat reports it
	}
	route, err := edgeroute.Parse(v.Text)
	if refusal, ok := errors.AsType[*edgeroute.Error](err); ok {
		c.fault(at, refusal.Where(), refusal.Remedy)
		return
	}
	for _, f := range route.Findings {
		c.warn(at, f.Text, f.Remedy)
	}
	c.checkRouteText(v.Text, at)
	if m := route.SourceModule; m != "" && !c.definesAnyCase(m) {
		c.reportModule(at, m)
	}
	if m := route.SinkModule; m != "" && !c.defined[m] {
		c.reportModule(at, m)
	}
}

// checkRouteText warns of routes that edge hub accepts and other tools do not, and of the
// same route under another name, even if the space in it differs.
func (c *checker) checkRouteText(text string, at place) {
	// Azure/azure-iot-cli-extension, azext_iot/assets/azure-iot-edgehub-deployment-*.json:
	// the pattern of a route has no line break.
	if strings.Contains(strings.TrimSuffix(text, "\n"), "\n") {
		c.warn(at, "has a line break, which az does not accept in a route", "write the route on one line")
	}
	words := strings.Join(strings.Fields(text), " ")
	if other, twice := c.routes[words]; twice {
		c.warn(at, "is the same route as "+join(other.path), "remove one of them")
	} else {
		c.routes[words] = at
	}
}

// definesAnyCase reports whether the manifest defines a module. Edge hub compares the
// modules of sources without regard to letter case.
func (c *checker) definesAnyCase(name string) bool {
	for defined := range c.defined {
		if strings.EqualFold(defined, name) {
			return true
		}
	}
	return false
}

// reportModule reports a route whose module this document lacks. Edge hub accepts such a
// route (Azure/iotedge, Microsoft.Azure.Devices.Edge.Hub.Core/routing/EndpointFactory.cs
// looks up no modules), and a layer may define the module. So it is an error only if the
// manifest is complete.
func (c *checker) reportModule(at place, name string) {
	if c.layered {
		return
	}
	text := "is for module " + printable(name) + ", which this deployment does not have"
	if c.complete {
		c.fault(at, text, "fix the name, which is case-sensitive, or define the module in $edgeAgent")
		return
	}
	c.warn(at, text, "fix the name, which is case-sensitive; ignore this if a layer defines the module")
}
