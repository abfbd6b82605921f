package archtest_test

// mayImport is who may import whom among our own packages; a package that is not
// here fails the test, and so does an import that is not. Adding either is a
// decision: say why in the commit. Paths are below the module's root, "internal/"
// left out.
var mayImport = map[string][]string{
	// The contract and the leaves.
	"reason":     {},
	"pace":       {},       // whose bytes it holds to a rate is nobody's business there
	"relay":      {"pace"}, // who the two connections are is nobody's business there; pace: how fast it reads
	"config":     {},
	"container":  {},            // what the operating system gives the program is nobody's business there
	"httpd":      {},            // an HTTP server that ends completely; the emulator and the gateway need the same
	"wholefile":  {},            // keys and state that a crash must not leave half written
	"localca":    {"wholefile"}, // certificates for loopback: the emulator, the demo
	"logqueue":   {},            // whose lines they are is nobody's business there
	"hubclient":  {},
	"rtsptest":   {},
	"tunnelopen": {"reason"},
	"camera":     {"reason"},
	"wsconn":     {"reason", "proxy"},
	"proxy":      {"reason"},
	"policy":     {"reason"},          // what is allowed, without resolving or dialling anything
	"edge":       {"reason", "proxy"}, // proxy: a hub that is dialled directly may be behind the site's
	"health":     {"httpd", "reason"}, // whose health it is is nobody's business there

	// The schema that operators' tools read is the one that judges.
	"modules/rtsptunnel": {},
	"twin":               {"reason", "policy", "modules/rtsptunnel"}, // policy: a remote endpoint that it cannot compare is a fault of the twin

	"jsontree": {},                             // any JSON document
	"manifest": {"jsontree", "reason", "twin"}, // what IoT Edge deploys, for any modules; twin: ours are judged by their schema

	"report": {"twin", "reason"}, // what is told is the configuration in force, and the module's state, which it is handed

	// The middle.
	"tunnel":  {"tunnelopen", "relay", "pace", "reason"},                // pace: which tunnels share a bit rate
	"gateway": {"tunnelopen", "wsconn", "hubclient", "reason", "relay"}, // relay: a player's connection and a tunnel are copied by the same rules at this end

	// The hub emulator knows no tunnels: it serves any module.
	"hubemulator":            {"hubemulator/broker", "hubemulator/rest", "hubemulator/statefile", "hubemulator/store", "hubemulator/workload", "httpd", "localca", "wholefile", "hubemulator/control", "hubemulator/faults", "hubemulator/throttle", "hubemulator/telemetry", "hubemulator/mqttws", "hubemulator/rollout"},
	"hubemulator/broker":     {"hubemulator/sas", "hubemulator/store", "hubemulator/telemetry", "hubemulator/faults", "hubemulator/throttle"}, // what clients send
	"hubemulator/control":    {"hubemulator/faults", "hubemulator/store", "hubemulator/telemetry"},                                            // a test drives the hub
	"hubemulator/faults":     {},                                                                                                              // what shall go wrong; whoever serves clients asks it
	"hubemulator/mqttws":     {},                                                                                                              // whom it gives its connections to is nobody's business there
	"hubemulator/query":      {},
	"hubemulator/rest":       {"hubemulator/broker", "hubemulator/deployment", "hubemulator/faults", "hubemulator/query", "hubemulator/rollout", "hubemulator/sas", "hubemulator/store", "hubemulator/throttle"},
	"hubemulator/deployment": {},                                                                   // what deployments say, without devices to say it to; manifest has the same rules a second time, and tests let each judge the other
	"hubemulator/rollout":    {"hubemulator/deployment", "hubemulator/query", "hubemulator/store"}, // target conditions are queries
	"hubemulator/sas":        {},
	"hubemulator/statefile":  {"wholefile"}, // files without meaning; the store is meaning without files
	"hubemulator/store":      {},
	"hubemulator/telemetry":  {},
	"hubemulator/throttle":   {}, // how often things may be asked for
	"hubemulator/workload":   {"hubemulator/faults", "hubemulator/store"},

	// Where things are wired.
	"module":      {"config", "container", "edge", "tunnel", "tunnelopen", "camera", "wsconn", "twin", "report", "reason", "health", "logqueue", "policy"},
	"demo":        {"module", "hubemulator", "hubclient", "rtsptest", "gateway", "httpd", "localca"},
	"hubaccess":   {"hubclient"},                                       // how an operator names a hub is one thing in all commands
	"hubctl":      {"hubaccess", "hubclient"},                          // an operator's verbs, for any hub: it must not know which
	"manifestctl": {"hubaccess", "hubclient", "manifest", "wholefile"}, // an operator's verbs, for files, and to bring them to a hub; wholefile: a result is there whole or not at all
	"archtest":    {},

	// What is in the images is told from outside, by a program that is in none.
	"images/sbom": {},

	// What operators' tools read is judged from outside; there is nothing to import.
	"packaging": {},

	// What tests share. Only tests import these.
	"logtest":    {},
	"schematest": {}, // public schemas, which judge what is not ours alone
	"hubtest":    {"hubclient", "hubemulator"},

	// What the product costs is measured from outside, by a program that is not part
	// of it: it knows the module by its contract and its hub alone.
	"bench":          {"bench/measure"},
	"bench/measure":  {"bench/baseline", "bench/ends", "bench/figures", "bench/relays"},
	"bench/relays":   {"bench/baseline", "bench/ends", "hubclient", "hubemulator", "localca", "tunnelopen"},
	"bench/ends":     {"bench/socket", "httpd"},
	"bench/baseline": {"bench/socket"}, // nothing of the product: it is what that is compared with
	"bench/socket":   {},
	"bench/figures":  {},

	"cmd/rtsptunnel":  {"module", "config", "health", "twin", "reason"}, // all but the first for the commands that are not the module
	"cmd/hubemulator": {"hubemulator", "hubctl"},
	"cmd/tunnelctl":   {"demo", "manifestctl"},
}

// onlyIn is where a library may be imported: each has one home, which hides its
// traps.
var onlyIn = map[string][]string{
	"github.com/CycloneDX/cyclonedx-go":    {"images/sbom"},
	"github.com/amenzhinsky/iothub":        {"edge"},
	"github.com/eclipse/paho.mqtt.golang":  {"edge"},
	"github.com/gorilla/websocket":         {"wsconn", "edge", "hubemulator/mqttws", "bench/baseline", "bench/ends", "bench/socket"}, // edge, mqttws: MQTT's WebSocket has other rules than the tunnel's, and its ends know no tunnels; bench: what measures wsconn must not change with it
	"github.com/kelseyhightower/envconfig": {"config"},
	"golang.org/x/net/http/httpproxy":      {"config"},
	"golang.org/x/net/idna":                {"policy"}, // hosts have one canonical form
	"github.com/mochi-mqtt/server":         {"hubemulator/broker"},
	"github.com/bluenviron/gortsplib":      {"rtsptest"},
	"github.com/bluenviron/mediacommon":    {"rtsptest"},
	"github.com/pion/rtp":                  {"rtsptest"},
	"golang.org/x/time":                    {"hubemulator/throttle", "pace"}, // operations of a hub; bytes of tunnels

	"github.com/santhosh-tekuri/jsonschema": {"twin", "schematest"},
}

// never is what a binary must not reach, however far away, because it would make
// the image of the edge module large or give it what only a test bench has.
var never = map[string][]string{
	"cmd/rtsptunnel": {
		"github.com/bluenviron", "github.com/mochi-mqtt",
		"rtsptunnel/internal/hubemulator", "rtsptunnel/internal/gateway", "rtsptunnel/internal/rtsptest",
		"rtsptunnel/internal/demo", "rtsptunnel/internal/localca", "rtsptunnel/bench", "rtsptunnel/images", "github.com/CycloneDX",
	},
}

// forTests are packages that no program may contain.
var forTests = []string{"logtest", "hubtest", "schematest", "archtest", "packaging"}

// pure packages import no network, no file and no process; with the exceptions.
var pure = map[string][]string{
	"reason":                 nil,
	"tunnelopen":             nil,
	"twin":                   nil,
	"report":                 nil,
	"bench/figures":          nil,
	"policy":                 {"net"}, // to join host and port, which is text
	"jsontree":               nil,
	"hubemulator/faults":     nil,
	"hubemulator/query":      nil,
	"hubemulator/sas":        {"net"}, // to split host and port, which is text
	"hubemulator/store":      nil,
	"hubemulator/telemetry":  nil,
	"hubemulator/throttle":   nil,
	"hubemulator/deployment": nil,
}

// impure is what they must not import. net/http's constants and header type are
// values, and net/url is text.
var impure = []string{"net", "os", "os/exec", "os/signal", "syscall", "github.com/rs/zerolog"}
