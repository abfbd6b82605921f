package archtest_test

// mayImport is who may import whom among our own packages; a package that is not
// here fails the test, and so does an import that is not. Adding either is a
// decision: say why in the commit. Paths are below the module's root, "internal/"
// left out.
var mayImport = map[string][]string{
	// The contract and the leaves.
	"contract/reason":     {},
	"wire/pace":           {},            // whose bytes it holds to a rate is nobody's business there
	"wire/relay":          {"wire/pace"}, // who the two connections are is nobody's business there; pace: how fast it reads
	"module/config":       {},
	"base/container":      {},                 // what the operating system gives the program is nobody's business there
	"base/httpd":          {},                 // an HTTP server that ends completely; the emulator and the gateway need the same
	"base/wholefile":      {},                 // keys and state that a crash must not leave half written
	"base/localca":        {"base/wholefile"}, // certificates for loopback: the emulator, the demo
	"base/logqueue":       {},                 // whose lines they are is nobody's business there
	"hub/hubclient":       {},
	"testkit/rtsptest":    {},
	"contract/tunnelopen": {"contract/reason"},
	"module/camera":       {"contract/reason"},
	"wire/wsconn":         {"contract/reason", "wire/proxy"},
	"wire/proxy":          {"contract/reason"},
	"module/policy":       {"contract/reason"},               // what is allowed, without resolving or dialling anything
	"module/edge":         {"contract/reason", "wire/proxy"}, // proxy: a hub that is dialled directly may be behind the site's
	"base/health":         {"base/httpd", "contract/reason"}, // whose health it is is nobody's business there

	// The schema that operators' tools read is the one that judges.
	"modules/rtsptunnel": {},
	"module/twin":        {"contract/reason", "module/policy", "modules/rtsptunnel"}, // policy: a remote endpoint that it cannot compare is a fault of the twin

	"base/jsontree": {},                                                  // any JSON document
	"ops/manifest":  {"base/jsontree", "contract/reason", "module/twin"}, // what IoT Edge deploys, for any modules; twin: ours are judged by their schema

	"module/report": {"module/twin", "contract/reason"}, // what is told is the configuration in force, and the module's state, which it is handed

	// The middle.
	"module/tunnel": {"contract/tunnelopen", "wire/relay", "wire/pace", "contract/reason"},                    // pace: which tunnels share a bit rate
	"gateway":       {"contract/tunnelopen", "wire/wsconn", "hub/hubclient", "contract/reason", "wire/relay"}, // relay: a player's connection and a tunnel are copied by the same rules at this end

	// The hub emulator knows no tunnels: it serves any module.
	"hub/hubemulator":            {"hub/hubemulator/broker", "hub/hubemulator/rest", "hub/hubemulator/statefile", "hub/hubemulator/store", "hub/hubemulator/workload", "base/httpd", "base/localca", "base/wholefile", "hub/hubemulator/control", "hub/hubemulator/faults", "hub/hubemulator/throttle", "hub/hubemulator/telemetry", "hub/hubemulator/mqttws", "hub/hubemulator/rollout"},
	"hub/hubemulator/broker":     {"hub/hubemulator/sas", "hub/hubemulator/store", "hub/hubemulator/telemetry", "hub/hubemulator/faults", "hub/hubemulator/throttle"}, // what clients send
	"hub/hubemulator/control":    {"hub/hubemulator/faults", "hub/hubemulator/store", "hub/hubemulator/telemetry"},                                                    // a test drives the hub
	"hub/hubemulator/faults":     {},                                                                                                                                  // what shall go wrong; whoever serves clients asks it
	"hub/hubemulator/mqttws":     {},                                                                                                                                  // whom it gives its connections to is nobody's business there
	"hub/hubemulator/query":      {},
	"hub/hubemulator/rest":       {"hub/hubemulator/broker", "hub/hubemulator/deployment", "hub/hubemulator/faults", "hub/hubemulator/query", "hub/hubemulator/rollout", "hub/hubemulator/sas", "hub/hubemulator/store", "hub/hubemulator/throttle"},
	"hub/hubemulator/deployment": {},                                                                               // what deployments say, without devices to say it to; manifest has the same rules a second time, and tests let each judge the other
	"hub/hubemulator/rollout":    {"hub/hubemulator/deployment", "hub/hubemulator/query", "hub/hubemulator/store"}, // target conditions are queries
	"hub/hubemulator/sas":        {},
	"hub/hubemulator/statefile":  {"base/wholefile"}, // files without meaning; the store is meaning without files
	"hub/hubemulator/store":      {},
	"hub/hubemulator/telemetry":  {},
	"hub/hubemulator/throttle":   {}, // how often things may be asked for
	"hub/hubemulator/workload":   {"hub/hubemulator/faults", "hub/hubemulator/store"},

	// Where things are wired.
	"module":          {"module/config", "base/container", "module/edge", "module/tunnel", "contract/tunnelopen", "module/camera", "wire/wsconn", "module/twin", "module/report", "contract/reason", "base/health", "base/logqueue", "module/policy"},
	"ops/demo":        {"module", "hub/hubemulator", "hub/hubclient", "testkit/rtsptest", "gateway", "base/httpd", "base/localca"},
	"hub/hubaccess":   {"hub/hubclient"},                                                    // how an operator names a hub is one thing in all commands
	"ops/hubctl":      {"hub/hubaccess", "hub/hubclient"},                                   // an operator's verbs, for any hub: it must not know which
	"ops/manifestctl": {"hub/hubaccess", "hub/hubclient", "ops/manifest", "base/wholefile"}, // an operator's verbs, for files, and to bring them to a hub; wholefile: a result is there whole or not at all
	"archtest":        {},

	// What is in the images is told from outside, by a program that is in none.
	"images/sbom": {},

	// What operators' tools read is judged from outside; there is nothing to import.
	"packaging": {},

	// What tests share. Only tests import these.
	"testkit/logtest":    {},
	"testkit/schematest": {}, // public schemas, which judge what is not ours alone
	"testkit/hubtest":    {"hub/hubclient", "hub/hubemulator"},

	// What the product costs is measured from outside, by a program that is not part
	// of it: it knows the module by its contract and its hub alone.
	"bench":          {"bench/measure"},
	"bench/measure":  {"bench/baseline", "bench/ends", "bench/figures", "bench/relays"},
	"bench/relays":   {"bench/baseline", "bench/ends", "hub/hubclient", "hub/hubemulator", "base/localca", "contract/tunnelopen"},
	"bench/ends":     {"bench/socket", "base/httpd"},
	"bench/baseline": {"bench/socket"}, // nothing of the product: it is what that is compared with
	"bench/socket":   {},
	"bench/figures":  {},

	"cmd/rtsptunnel":  {"module", "module/config", "base/health", "module/twin", "contract/reason"}, // all but the first for the commands that are not the module
	"cmd/hubemulator": {"hub/hubemulator", "ops/hubctl"},
	"cmd/tunnelctl":   {"ops/demo", "ops/manifestctl"},
}

// onlyIn is where a library may be imported: each has one home, which hides its
// traps.
var onlyIn = map[string][]string{
	"github.com/CycloneDX/cyclonedx-go":    {"images/sbom"},
	"github.com/amenzhinsky/iothub":        {"module/edge"},
	"github.com/eclipse/paho.mqtt.golang":  {"module/edge"},
	"github.com/gorilla/websocket":         {"wire/wsconn", "module/edge", "hub/hubemulator/mqttws", "bench/baseline", "bench/ends", "bench/socket"}, // edge, mqttws: MQTT's WebSocket has other rules than the tunnel's, and its ends know no tunnels; bench: what measures wsconn must not change with it
	"github.com/kelseyhightower/envconfig": {"module/config"},
	"golang.org/x/net/http/httpproxy":      {"module/config"},
	"golang.org/x/net/idna":                {"module/policy"}, // hosts have one canonical form
	"github.com/mochi-mqtt/server":         {"hub/hubemulator/broker"},
	"github.com/bluenviron/gortsplib":      {"testkit/rtsptest"},
	"github.com/bluenviron/mediacommon":    {"testkit/rtsptest"},
	"github.com/pion/rtp":                  {"testkit/rtsptest"},
	"golang.org/x/time":                    {"hub/hubemulator/throttle", "wire/pace"}, // operations of a hub; bytes of tunnels

	"github.com/santhosh-tekuri/jsonschema": {"module/twin", "testkit/schematest"},
}

// never is what a binary must not reach, however far away, because it would make
// the image of the edge module large or give it what only a test bench has.
var never = map[string][]string{
	"cmd/rtsptunnel": {
		"github.com/bluenviron", "github.com/mochi-mqtt",
		"rtsptunnel/internal/hub/hubemulator", "rtsptunnel/internal/gateway", "rtsptunnel/internal/testkit/rtsptest",
		"rtsptunnel/internal/ops/demo", "rtsptunnel/internal/base/localca", "rtsptunnel/bench", "rtsptunnel/images", "github.com/CycloneDX",
	},
}

// forTests are packages that no program may contain.
var forTests = []string{"testkit/logtest", "testkit/hubtest", "testkit/schematest", "archtest", "packaging"}

// pure packages import no network, no file and no process; with the exceptions.
var pure = map[string][]string{
	"contract/reason":            nil,
	"contract/tunnelopen":        nil,
	"module/twin":                nil,
	"module/report":              nil,
	"bench/figures":              nil,
	"module/policy":              {"net"}, // to join host and port, which is text
	"base/jsontree":              nil,
	"hub/hubemulator/faults":     nil,
	"hub/hubemulator/query":      nil,
	"hub/hubemulator/sas":        {"net"}, // to split host and port, which is text
	"hub/hubemulator/store":      nil,
	"hub/hubemulator/telemetry":  nil,
	"hub/hubemulator/throttle":   nil,
	"hub/hubemulator/deployment": nil,
}

// impure is what they must not import. net/http's constants and header type are
// values, and net/url is text.
var impure = []string{"net", "os", "os/exec", "os/signal", "syscall", "github.com/rs/zerolog"}
