package manifest

import (
	"math"
	"regexp"
	"strings"

	"rtsptunnel/internal/base/jsontree"
)

// The shapes of $edgeHub's desired properties. They follow "Properties of the IoT Edge
// agent and IoT Edge hub module twins" and the schema azure-iot-edgehub-deployment-1.2.
var (
	routeText   = &shape{kinds: textShape.kinds, check: checkRoute}
	routesShape = mapOf(`^[^.$# ]+$`, "a route's name must not contain spaces or any of . $ #",
		&shape{kinds: []jsontree.Kind{jsontree.String, jsontree.Object}, check: checkRoute, fields: []field{
			{"route", true, routeText},
			{"priority", false, integer(0, 9)},
			{"timeToLiveSecs", false, integer(0, math.MaxUint32)},
		}})
	hubShape = object(
		field{"schemaVersion", true, enum("1.0", "1.1", "1.2")},
		field{"routes", true, routesShape},
		field{"storeAndForwardConfiguration", false, object(
			field{"timeToLiveSecs", true, integer(-1, math.MaxUint32)},
			field{"storeLimits", false, anyObject})},
		field{"mqttBroker", false, anyObject},
	)
)

var (
	routeForm   = regexp.MustCompile(`(?is)^\s*FROM\s+(\S+)(?:\s+WHERE\s+(.*\S))?\s+INTO\s+(\S.*?)\s*$`)
	routeSource = regexp.MustCompile(`(?i)^/(\*|messages/?\*?|messages/modules/?\*?|messages/modules/([^/*]+)(/\*?|/outputs/[^/]+)?|twinChangeNotifications)$`)
	routeModule = regexp.MustCompile(`^/messages/modules/([^/*]+)`)
	routeInput  = regexp.MustCompile(`(?i)^BrokeredEndpoint\(\s*(?:"(.*)"|'(.*)')\s*\)$`)
	inputPath   = regexp.MustCompile(`^/modules/([^/]+)/inputs/([^/]+)$`)
)

// checkRoute validates one route that is a string. The same route under another name is
// an error, even if the space in it differs.
func checkRoute(c *checker, v *jsontree.Value, at place) {
	if !v.Is(jsontree.String) {
		return // routeText validates the object's member route
	}
	parts := routeForm.FindStringSubmatch(v.Text)
	if parts == nil {
		c.fault(at, "is not a route", `write FROM SOURCE INTO SINK, or FROM SOURCE WHERE CONDITION INTO SINK, such as FROM /messages/* INTO $upstream`)
		return
	}
	source, sink := parts[1], parts[3]
	words := strings.Join(strings.Fields(v.Text), " ")
	if other, twice := c.routes[words]; twice {
		c.fault(at, "is the same route as "+join(other.path), "remove one of them")
	} else {
		c.routes[words] = at
	}
	switch module := routeModule.FindStringSubmatch(source); {
	case !strings.HasPrefix(source, "/"):
		c.fault(at, "has an invalid source", "write a path, such as /messages/* or /messages/modules/NAME/outputs/*")
	case !routeSource.MatchString(source):
		c.warn(at, "has a source that is not documented and may never match", "use a documented source, such as /messages/* or /messages/modules/NAME/outputs/OUTPUT")
	case module != nil:
		c.checkModule(at, module[1])
	}
	c.checkSink(at, sink)
}

func (c *checker) checkSink(at place, sink string) {
	if strings.EqualFold(sink, "$upstream") {
		return
	}
	const remedy = `write $upstream, or BrokeredEndpoint("/modules/NAME/inputs/INPUT")`
	endpoint := routeInput.FindStringSubmatch(sink)
	if endpoint == nil {
		c.fault(at, "has an invalid sink", remedy)
		return
	}
	input := inputPath.FindStringSubmatch(endpoint[1] + endpoint[2])
	if input == nil {
		c.fault(at, "has a sink that is not a module's input", remedy)
		return
	}
	c.checkModule(at, input[1])
}

// checkModule checks that a route's module exists. It cannot check layers, because other
// deployments may define the module.
func (c *checker) checkModule(at place, name string) {
	if c.layered || c.defined[name] {
		return
	}
	c.fault(at, "is for module "+printable(name)+", which this deployment does not have", "fix the name, which is case-sensitive, or define the module in $edgeAgent")
}
