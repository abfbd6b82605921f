package manifest

import (
	"math"
	"regexp"
	"strconv"
	"strings"

	"rtsptunnel/internal/base/jsontree"
)

// The shapes of $edgeHub's desired properties. They follow "Properties of the IoT Edge
// agent and IoT Edge hub module twins", az's schemas azure-iot-edgehub-deployment-1.0 to
// 1.2 (Azure/azure-iot-cli-extension, azext_iot/assets), and edge hub: Azure/iotedge,
// Microsoft.Azure.Devices.Edge.Hub.Core/config. storeAndForwardConfiguration is required
// by EdgeHubConfig.cs, although az's schemas do not require it. The bounds of the numbers
// are those of the types in StoreAndForwardConfiguration.cs (int, long) and RouteSpec.cs
// (uint).
var (
	routeText   = &shape{kinds: textShape.kinds, check: checkRoute}
	routesShape = mapOf(`^[^.$# ]+$`, "a route's name must not contain spaces or any of . $ #",
		&shape{kinds: []jsontree.Kind{jsontree.String, jsontree.Object}, check: checkRouteForm, fields: []field{
			{"route", true, routeText},
			{"priority", false, &shape{kinds: numberKind, check: checkRoutePriority}},
			{"timeToLiveSecs", false, integer(0, math.MaxUint32)},
		}})
	hubShape = object(
		field{"schemaVersion", true, &shape{kinds: textShape.kinds, check: checkHubVersion}},
		field{"routes", true, routesShape},
		field{"storeAndForwardConfiguration", true, object(
			field{"timeToLiveSecs", true, integer(math.MinInt32, math.MaxInt32)},
			field{"storeLimits", false, object(
				field{"maxSizeBytes", false, integer(math.MinInt64, math.MaxInt64)})})},
		field{"mqttBroker", false, objectSince("1.2")},
		field{"integrity", false, objectSince("1.3")},
	)
	numberKind = []jsontree.Kind{jsontree.Number}
)

// The versions of $edgeHub's properties that have different rules. Edge hub compares only
// the first two numbers: Azure/iotedge,
// Microsoft.Azure.Devices.Edge.Hub.Core/config/EdgeHubConfigParser.cs.
const (
	hubVersionUnknown = ""
	hubVersion10      = "1.0"
)

// version matches a version as .NET reads it: two to four numbers.
var version = regexp.MustCompile(`^[0-9]+(?:\.[0-9]+){1,3}$`)

// versionNumbers returns the numbers of a version, or nil if it is not one.
func versionNumbers(text string) []int {
	if !version.MatchString(text) {
		return nil
	}
	var numbers []int
	for part := range strings.SplitSeq(text, ".") {
		n, err := strconv.ParseInt(part, 10, 32)
		if err != nil {
			return nil
		}
		numbers = append(numbers, int(n))
	}
	return numbers
}

// hubVersion returns MAJOR.MINOR of the manifest's $edgeHub, or hubVersionUnknown if it has
// none, as in a layer.
func (m *Manifest) hubVersion() string {
	v := m.desired(hubName).Get("schemaVersion")
	if !v.Is(jsontree.String) {
		return hubVersionUnknown
	}
	numbers := versionNumbers(v.Text)
	if numbers == nil {
		return hubVersionUnknown
	}
	return strconv.Itoa(numbers[0]) + "." + strconv.Itoa(numbers[1])
}

func checkHubVersion(c *checker, v *jsontree.Value, at place) {
	if n := versionNumbers(v.Text); n == nil || n[0] != 1 || n[1] > 3 {
		c.fault(at, "must be one of 1.0, 1.1, 1.2, 1.3", "use 1.1 for routes with a priority, or 1.2")
	}
}

// checkAgentVersion checks $edgeAgent's version as edge agent does, which accepts at most
// 1.1.0: Azure/iotedge, Microsoft.Azure.Devices.Edge.Agent.IoTHub/EdgeAgentConnection.cs.
func checkAgentVersion(c *checker, v *jsontree.Value, at place) {
	n := versionNumbers(v.Text)
	ok := n != nil && n[0] == 1 && n[1] <= 1
	if ok && n[1] == 1 { // 1.1.0 has three numbers and is below 1.1.0.0
		ok = len(n) == 2 || len(n) == 3 && n[2] == 0
	}
	if !ok {
		c.fault(at, "must be 1.0 or 1.1", "use 1.1")
	}
}

// checkRouteForm checks what schemaVersion allows for a route.
func checkRouteForm(c *checker, v *jsontree.Value, at place) {
	if v.Is(jsontree.Object) && c.hub == hubVersion10 {
		c.fault(at, "is an object, which schemaVersion 1.0 of $edgeHub does not allow", "set $edgeHub's schemaVersion to 1.1, or write the route as a string")
	}
	checkRoute(c, v, at)
}

// defaultPriority is the priority of routes without one. Edge hub accepts it as a number
// (Azure/iotedge, Microsoft.Azure.Devices.Routing.Core/RouteFactory.cs); az does not.
const defaultPriority = 2_000_000_000

func checkRoutePriority(c *checker, v *jsontree.Value, at place) {
	n, err := strconv.ParseInt(v.Text, 10, 64)
	switch {
	case err == nil && n == defaultPriority:
		c.warn(at, "is the default priority, which az does not accept", "remove it")
	case err != nil || n < 0 || n > 9:
		c.fault(at, "must be an integer from 0 to 9", "write a number in this range")
	}
}

// objectSince is an object that edge hub ignores before a version of $edgeHub.
func objectSince(version string) *shape {
	return &shape{kinds: anyObject.kinds, names: anyObject.names, each: anything, check: func(c *checker, _ *jsontree.Value, at place) {
		if c.hub != hubVersionUnknown && c.hub < version {
			c.warn(at, "has no effect in schemaVersion "+c.hub+" of $edgeHub", "set $edgeHub's schemaVersion to "+version)
		}
	}}
}
