package config

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// prefix is how the gateway's variables begin.
const prefix = "TUNNELGATEWAY_"

const (
	variableConfig = prefix + "CONFIG"
	variableHub    = prefix + "HUB_CONNECTION_STRING"
)

// variable is one of the gateway's variables.
type variable struct {
	name   string
	key    []string // which it replaces; nil: none
	judged bool     // by the key's schema; otherwise any text is valid
	set    func(c *Config, value string)
}

// variables replace values of the file. Those of a hub mean the hub main, which need not be
// in the file.
func variables() []variable {
	text := func(name string, set func(c *Config, v string), key ...string) variable {
		return variable{name, key, false, set}
	}
	judged := func(name string, set func(c *Config, v string), key ...string) variable {
		return variable{name, key, true, set}
	}
	return []variable{
		text(prefix+"CONFIG", func(*Config, string) {}),
		text(prefix+"HUB_CONNECTION_STRING", func(c *Config, v string) {
			c.mainHub(func(h *Hub) { h.ConnectionString, h.ConnectionStringFile = Secret(v), "" })
		}),
		text(prefix+"HUB_CONNECTION_STRING_FILE", func(c *Config, v string) {
			c.mainHub(func(h *Hub) { h.ConnectionStringFile = v })
		}, "hubs", "main", "connectionStringFile"),
		text(prefix+"HUB_CA_FILE", func(c *Config, v string) { c.mainHub(func(h *Hub) { h.CAFile = v }) }, "hubs", "main", "caFile"),
		judged(prefix+"PUBLIC_URL", func(c *Config, v string) { c.PublicURL = v }, "publicURL"),
		judged(prefix+"LISTEN_PUBLIC", func(c *Config, v string) { c.firstPublic().Address = v }, "listen", "public", "0", "address"),
		text(prefix+"TLS_CERT", func(c *Config, v string) { c.firstPublic().Cert = v }, "listen", "public", "0", "cert"),
		text(prefix+"TLS_KEY", func(c *Config, v string) { c.firstPublic().Key = v }, "listen", "public", "0", "key"),
		judged(prefix+"LISTEN_RTSP", func(c *Config, v string) { c.Listen.RTSP.Address = v }, "listen", "rtsp", "address"),
		judged(prefix+"LISTEN_RTSPS", func(c *Config, v string) { c.Listen.RTSPS.Address = v }, "listen", "rtsps", "address"),
		judged(prefix+"LISTEN_PRIVATE", func(c *Config, v string) { c.Listen.Private.Address = v }, "listen", "private", "address"),
		judged(prefix+"DATA", func(c *Config, v string) { c.Data = v }, "data"),
		judged(prefix+"LOG_LEVEL", func(c *Config, v string) { c.Log.Level = v }, "log", "level"),
		judged(prefix+"LOG_FORMAT", func(c *Config, v string) { c.Log.Format = v }, "log", "format"),
	}
}

// mainHub changes the hub main. A hub that only variables have discovers its cameras.
func (c *Config) mainHub(change func(*Hub)) {
	h, ok := c.Hubs["main"]
	h.Discover = h.Discover || !ok
	change(&h)
	if c.Hubs == nil {
		c.Hubs = map[string]Hub{}
	}
	c.Hubs["main"] = h
}

// firstPublic returns the first public listener, which it adds if there is none.
func (c *Config) firstPublic() *Public {
	if len(c.Listen.Public) == 0 {
		c.Listen.Public = []Public{{}}
	}
	return &c.Listen.Public[0]
}

// environment has the variables that are set and not empty.
type environment map[string]string

func newEnvironment(environ []string) environment {
	e := environment{}
	for _, line := range environ {
		if name, value, _ := strings.Cut(line, "="); value != "" {
			e[name] = value
		}
	}
	return e
}

func (e environment) value(name string) string { return e[name] }

// ofKubernetes are the variables that Kubernetes sets in every pod for a service that is
// named tunnelgateway ("Service", Discovering services, Environment variables).
var ofKubernetes = regexp.MustCompile(`^TUNNELGATEWAY_(SERVICE_(HOST|PORT)|PORT$|PORT_\d+_(TCP|UDP|SCTP))`)

// unknown returns a fault for each variable with the gateway's prefix that means nothing:
// a misspelt name would otherwise be without effect.
func (e environment) unknown(referenced map[string]bool) []Fault {
	var known []string
	for _, v := range variables() {
		known = append(known, v.name)
	}
	var faults []Fault
	for name := range e {
		if !strings.HasPrefix(name, prefix) || slices.Contains(known, name) || referenced[name] || ofKubernetes.MatchString(name) {
			continue
		}
		text := "is unknown"
		if near := nearest(name, known); near != "" {
			text += ", did you mean " + near + "?"
		}
		faults = append(faults, Fault{Path: printable(name), Text: text})
	}
	return faults
}

// overlay replaces values of the file by those of the variables.
func (l *loader) overlay() {
	for _, v := range variables() {
		value := l.env.value(v.name)
		if value == "" {
			continue
		}
		if v.judged {
			if text := theSchema().judge(v.key, value); text != "" {
				l.faults = append(l.faults, Fault{Path: v.name, Text: text})
				continue
			}
		}
		v.set(l.Config, value)
		l.variables[dotted(v.key)] = v.name
	}
	if len(l.Listen.Public) == 0 || l.Listen.Public[0].Address == "" {
		p := l.firstPublic()
		if p.Address = "127.0.0.1:8080"; p.Cert != "" {
			p.Address = ":443"
		}
	}
}

// judge returns why the schema refuses a text at a path, or nothing.
func (s schema) judge(path []string, value string) string {
	node := s.root
	for _, part := range path {
		for node.Ref != nil && node.Properties == nil {
			node = node.Ref
		}
		if _, err := strconv.Atoi(part); err == nil {
			node = items(node)
			continue
		}
		node = node.Properties[part]
	}
	if node.Validate(value) == nil {
		return ""
	}
	return s.allowed(node)
}
