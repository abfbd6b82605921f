package edgeroute_test

import (
	"errors"
	"strings"
	"testing"

	"rtsptunnel/internal/ops/manifest/edgeroute"
)

const input = `BrokeredEndpoint("/modules/m/inputs/i")`

// The first lines of both tables have the forms of edge hub's own tests: Azure/iotedge,
// Microsoft.Azure.Devices.Routing.Core.Test/routeFactory/RouteFactoryTest.cs, and
// Microsoft.Azure.Devices.Edge.Hub.Core.Test/routing/EndpointFactoryTest.cs. The others
// were tried with ANTLR and the grammar.
func TestParse(t *testing.T) {
	for _, c := range []struct{ route, source, sink string }{
		{`FROM /* INTO brokeredEndpoint("/modules/alertLogic/inputs/in")`, "", "alertLogic"},
		{`FROM /* INTO brokeredEndpoint('/modules/alertLogic/inputs/in')`, "", "alertLogic"},
		{`FROM /* INTO brokeredEndpoint('/modules/alert"Logic/inputs/in')`, "", `alert"Logic`},
		{`FROM /* INTO brokeredEndpoint("/modules/alert'Logic/inputs/in")`, "", "alert'Logic"},
		{`FROM /messages/modules/adapter INTO $upstream`, "adapter", ""},
		{`FROM /messages/modules/alertLogic/outputs/commands INTO ` + input, "alertLogic", "m"},
		{`FROM /messages/modules WHERE messageType = "alert" INTO $upstream`, "", ""},
		{` SELECT * FROM /messages WHERE    messageType = "alert" AND humidity = 'high' AND as_number(temp) >= 200 INTO $upstream`, "", ""},

		{"from /* into $UPSTREAM", "", ""},
		{"FROM /messages/* INTO $upstream", "", ""},
		{"\tFROM\r\n/messages\nINTO $upstream\n", "", ""},
		{"FROM /messages/modules/a.b-c+d/outputs/o INTO $upstream", "a.b-c+d", ""},
		{"FROM /messages/modules/a/outputs/1a INTO $upstream", "a", ""},
		{"FROM /Messages/Modules/a/* INTO $upstream", "a", ""},
		{"FROM /messages/modules/a/outputs/* INTO $upstream", "a", ""},
		{"FROM /twinChangeNotifications INTO $upstream", "", ""},
		{"FROM /* INTO BrokeredEndpoint ( '/modules/m/inputs/i/' )", "", "m"},
		{"FROM /* INTO BrokeredEndpoint('modules/m/inputs/i')", "", "m"},
	} {
		r, err := edgeroute.Parse(c.route)
		if err != nil {
			t.Errorf("%s: %v", c.route, err)
			continue
		}
		if r.SourceModule != c.source || r.SinkModule != c.sink || len(r.Findings) > 0 {
			t.Errorf("%s: got %+v, want modules %q and %q", c.route, r, c.source, c.sink)
		}
	}
}

func TestParse_refused(t *testing.T) {
	for route, want := range map[string]string{
		"":                                                            "FROM is missing",
		"FORM /* INTO $upstream":                                      "FROM is missing",
		"SELECT FROM /* INTO $upstream":                               "SELECT is not followed by *",
		"SELECT a FROM /* INTO $upstream":                             "SELECT is not followed by *",
		"FROM INTO $upstream":                                         "source that does not begin with /",
		"FROM messages INTO $upstream":                                "source that does not begin with /",
		"FROM / INTO $upstream":                                       "a / that no name follows",
		"FROM /messages/ INTO $upstream":                              "a / that no name follows",
		"FROM /* INTO":                                                "invalid sink",
		"FROM /* $upstream":                                           "INTO is expected",
		"FROM /*":                                                     "INTO is expected",
		"FROM /* INTO upstream":                                       "invalid sink",
		"FROM /* INTO $upstreams":                                     "invalid sink",
		"FROM /* INTO /modules/m/inputs/i":                            "invalid sink",
		`FROM /* INTO "/modules/m/inputs/i"`:                          "invalid sink",
		`FROM /* INTO Endpoint("/modules/m/inputs/i")`:                "invalid sink",
		`FROM /* INTO BrokeredEndpoint(/modules/m/inputs/i)`:          "a text in quotes",
		`FROM /* INTO BrokeredEndpoint("/modules/m/inputs/i)`:         "a text in quotes",
		`FROM /* INTO BrokeredEndpoint(""/modules/m/inputs/i"")`:      ") is expected",
		`FROM /* INTO BrokeredEndpoint("/modules/m/inputs/i"`:         ") is expected",
		`FROM /* INTO BrokeredEndpoint "/modules/m/inputs/i"`:         "( is expected",
		`FROM /* INTO BrokeredEndpoint("/modules/m")`:                 "not a module's input",
		`FROM /* INTO BrokeredEndpoint("mod1, in1")`:                  "not a module's input",
		`FROM /* INTO BrokeredEndpoint("")`:                           "not a module's input",
		`FROM /* INTO BrokeredEndpoint("//modules/m/inputs/i")`:       "not a module's input",
		`FROM /* INTO BrokeredEndpoint("/modules/m/inputs/i//")`:      "not a module's input",
		`FROM /* INTO BrokeredEndpoint("/modules///m/inputs/i")`:      "not a module's input",
		"FROM /messages/modules/a/outputs/1 INTO $upstream":           "a / that no name follows",
		"FROM /messages/modules/e5/* INTO $upstream":                  "a / that no name follows",
		"FROM /messages/modules/from/* INTO $upstream":                "a / that no name follows",
		"FROM /messages/modules/a/outputs/true INTO $upstream":        "a / that no name follows",
		"FROM /messages/modules/$edgeHub/* INTO $upstream":            "a / that no name follows",
		"FROM /messages/modules/<M>/* INTO $upstream":                 "a / that no name follows",
		"FROM /messages/modules/a:b INTO $upstream":                   "INTO is expected",
		"FROM /messages/* WHERE INTO $upstream":                       "no condition after WHERE",
		"FROM /messages/* WHERE a = 'b) INTO $upstream":               "quote is not closed",
		`FROM /messages/* WHERE a = "C:\x" INTO $upstream`:            "quote is not closed",
		"FROM /messages/* WHERE a = 'b') INTO $upstream":              "an operator or INTO",
		"FROM /messages/* WHERE (a = 'b' INTO $upstream":              "a ( that no ) closes",
		"FROM /messages/* WHERE is_defined(a)) INTO $upstream":        "an operator or INTO",
		"FROM /messages/* WHERE is_defined(a INTO $upstream":          "arguments are not closed",
		"FROM /messages/* WHERE a = {{B}} INTO $upstream":             "a placeholder",
		"FROM /messages/* WHERE a = <B> INTO $upstream":               "a placeholder",
		"FROM /messages/* WHERE a LIKE 'b' INTO $upstream":            "an operator or INTO",
		"FROM /messages/* WHERE a IS NULL INTO $upstream":             "an operator or INTO",
		"FROM /messages/* WHERE a[0] = 3 INTO $upstream":              "a value is expected",
		"FROM /messages/* WHERE " + strings.Repeat("(", 1e4) + "INTO": "nested more than 100",
		"FROM /messages/* WHERE " + strings.Repeat("NOT ", 1e4):       "nested more than 100",
	} {
		_, err := edgeroute.Parse(route)
		refusal, ok := errors.AsType[*edgeroute.Error](err)
		if !ok || !strings.Contains(refusal.Text, want) || refusal.Remedy == "" {
			t.Errorf("%.80s: got %v, want %s", route, err, want)
		}
	}
}

// Edge hub accepts these routes, but they do not do what they seem to do.
func TestParse_findings(t *testing.T) {
	for route, want := range map[string]string{
		"FROM /* INTO $upstream;":                                          "text after its sink",
		"FROM /* INTO $upstream WHERE a = 'b'":                             "text after its sink",
		`FROM /* INTO BrokeredEndpoint("/modules/m/inputs/i"))`:            "text after its sink",
		"FROM /messages/modules/*/outputs/* INTO $upstream":                "a * before its end",
		"FROM /messages/modules/*/outputs/*/ INTO $upstream":               "a comment",
		"FROM /message/* INTO $upstream":                                   "not documented",
		"FROM /messages/devices/a INTO $upstream":                          "not documented",
		"FROM /messages/modules/a/outputs/b/c INTO $upstream":              "not documented",
		`FROM /* INTO BrokeredEndpoint("/a/b/c/d")`:                        "not /modules/NAME/inputs/INPUT",
		`FROM /* INTO BrokeredEndpoint("a//b/c")`:                          "not /modules/NAME/inputs/INPUT",
		"FROM /messages/* WHERE a!='b' INTO $upstream":                     "inside of a name",
		"FROM /messages/* WHERE a+1 = '2' INTO $upstream":                  "inside of a name",
		"FROM /messages/* WHERE 'a'||'b' = 'ab' INTO $upstream":            "inside of a name",
		"FROM /messages/* WHERE $connectionModuleId = NULL INTO $upstream": "NULL in capital letters",
		"FROM /messages/* WHERE $body.flag = TRUE INTO $upstream":          "TRUE in capital letters",
		"FROM /messages/* WHERE a = b INTO $upstream":                      "compares two properties",
		"FROM /messages/* WHERE a INTO $upstream":                          "no message meets it",
		"FROM /messages/* WHERE null INTO $upstream":                       "no message meets it",
		"FROM /messages/* WHERE $body.a[0]b = 1 INTO $upstream":            "whose end edge hub ignores",
	} {
		r, err := edgeroute.Parse(route)
		if err != nil || len(r.Findings) != 1 || !strings.Contains(r.Findings[0].Text, want) || r.Findings[0].Remedy == "" {
			t.Errorf("%s: got %+v, %v, want %s", route, r, err, want)
		}
	}
}

// Errors contain no names and texts of the route, because they may be secrets.
func TestParse_secrets(t *testing.T) {
	for _, condition := range []string{"canary = 3", "canary('canary') = 'canary'", "canary LIKE 'canary'", "'canary", "$body.canary[x]", "canary = $canary[", "NOT canary = 'canary'"} {
		_, err := edgeroute.Parse("FROM /messages/modules/canary/* WHERE " + condition + " INTO $upstream")
		if err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", condition, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(`SELECT * FROM /messages/modules/a/outputs/* WHERE NOT (as_number(a) > 3 AND $body.x[0].y = 'z') ?? true INTO BrokeredEndpoint("/modules/b/inputs/c")`)
	f.Add("FROM /*/**/ INTO $upstream \xff")
	f.Fuzz(func(t *testing.T, text string) {
		r, err := edgeroute.Parse(text)
		if (r == nil) == (err == nil) {
			t.Errorf("%q: %v, %v", text, r, err)
		}
		if refusal, ok := errors.AsType[*edgeroute.Error](err); ok && (refusal.Offset < 0 || refusal.Offset > len(text)) {
			t.Errorf("%q: offset %d", text, refusal.Offset)
		}
	})
}
