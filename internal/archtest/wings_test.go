package archtest_test

// wing is a folder of internal: the packages of one program, or those that several
// programs share.
type wing struct {
	imports []string // the other wings that its packages may import
	why     string
}

// wings are the folders of internal. A package imports packages of its own wing, of
// the wings listed here, and nothing else of ours. A folder that is not listed fails
// the test, and so does an arrow that no package uses.
var wings = map[string]wing{
	"contract": {nil, "what both ends of a tunnel agree on; pure"},
	"base":     {nil, "small parts that could be libraries"},
	"wire":     {[]string{"contract", "base"}, "bytes between two sockets, for the module and the gateway"},
	"module":   {[]string{"contract", "wire", "base"}, "the edge module"},
	"hub":      {[]string{"base"}, "IoT Hub's REST API and a local IoT Hub; both serve any module, so they know no tunnels"},
	"gateway":  {[]string{"contract", "wire", "base", "hub"}, "the cloud end; the hub opens its tunnels"},
	"testkit":  {[]string{"hub"}, "what tests share; hub: hubtest starts the hub emulator"},
	"ops":      {[]string{"contract", "base", "module", "hub", "gateway", "testkit"}, "the commands of tunnelctl; testkit: the demo's cameras"},

	"archtest":  {nil, "rules about the tree; it reads the sources"},
	"packaging": {nil, "rules about the files that operators use; it reads the files"},
}

// barrier is what no package below `of` may reach, over any number of imports.
type barrier struct {
	of    string   // a wing, or a program
	reach []string // our packages and wings, or libraries, as prefixes of import paths
	why   string
}

// barriers hold for direct and indirect imports. Each path names something that exists.
var barriers = []barrier{
	{
		"module",
		[]string{"rtsptunnel/internal/gateway", "rtsptunnel/internal/hub", "rtsptunnel/internal/ops", "rtsptunnel/internal/testkit"},
		"the module and the cloud end share contract and wire alone",
	},
	{
		"gateway",
		[]string{"rtsptunnel/internal/module", "rtsptunnel/internal/ops", "rtsptunnel/internal/testkit"},
		"the module and the cloud end share contract and wire alone",
	},
	{
		"hub",
		[]string{"rtsptunnel/internal/contract", "rtsptunnel/internal/wire", "rtsptunnel/internal/module", "rtsptunnel/internal/gateway"},
		"the emulator serves any module: knowing ours would make its word on ours worthless",
	},
	{
		"cmd/rtsptunnel",
		[]string{
			"rtsptunnel/internal/gateway", "rtsptunnel/internal/hub", "rtsptunnel/internal/ops", "rtsptunnel/internal/testkit",
			"rtsptunnel/internal/base/localca", "rtsptunnel/bench", "rtsptunnel/images",
			"github.com/bluenviron", "github.com/prometheus", "github.com/mochi-mqtt", "github.com/CycloneDX", "github.com/spf13",
		},
		"the image of the edge module stays small, and holds nothing that only a test bench needs",
	},
}
