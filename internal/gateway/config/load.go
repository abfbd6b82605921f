package config

import (
	"cmp"
	"path/filepath"
	"slices"
)

// Options say where the configuration is.
type Options struct {
	// File is the path of the file. Empty: TUNNELGATEWAY_CONFIG names it, or the
	// environment alone is the configuration.
	File    string
	Environ []string // NAME=value, as os.Environ returns
	// WithoutSecrets leaves the files unread that keys ending in File name, so that a file
	// can be judged on a machine that does not have them.
	WithoutSecrets bool
}

// Load reads and checks the configuration. If it is invalid, the error is an *Error with all
// faults.
func Load(o Options) (*Config, error) {
	env := newEnvironment(o.Environ)
	file := cmp.Or(o.File, env.value(variableConfig))
	l := &loader{Config: defaults(), env: env, document: &document{file: file}, inputs: inputs{file: {}}}
	if file == "" {
		l.inputs = inputs{}
	} else if err := l.readFile(file); err != nil {
		return nil, err
	}
	l.overlay()
	l.faults = append(l.faults, env.unknown(l.references())...)
	if file == "" && len(l.Hubs) == 0 && len(l.faults) == 0 {
		l.faults = append(l.faults, Fault{Path: variableHub, Text: "is not set, and " + variableConfig + " neither: set one of them"})
	}
	l.check()
	l.absolute(filepath.Dir(file))
	if !o.WithoutSecrets {
		l.readSecrets()
	}
	if err := newError(l.faults); err != nil {
		return nil, err
	}
	slices.Sort(l.Warnings)
	l.Config.inputs = l.inputs
	return l.Config, nil
}

// Changed tells whether the file, or a file that it names, has another content than when it
// was read.
func (c *Config) Changed() bool { return c.inputs.changed() }

// loader is one Load.
type loader struct {
	*Config
	*document // its faults are those of the configuration

	env    environment
	inputs inputs
}

// readFile reads the file into the configuration, over the defaults.
func (l *loader) readFile(file string) error {
	text, _, err := l.inputs.read(file, maxFile)
	if err != nil {
		return newError([]Fault{{File: file, Text: readError(err)}})
	}
	d, faults := parse(file, text)
	if len(faults) == 0 {
		faults = theSchema().check(d)
	}
	if len(faults) > 0 {
		return newError(faults)
	}
	l.document = d
	if d.root == nil {
		return nil
	}
	if err := d.root.Decode(l.Config); err != nil { // the schema accepts nothing else
		return newError([]Fault{{File: file, Text: "a value does not fit"}})
	}
	return nil
}

// report adds a fault of the value at a path of the file.
func (l *loader) report(text string, path ...string) {
	if len(l.faults) >= enoughFaults {
		return
	}
	_, value := l.find(path)
	l.fault(value, path, text)
}

func (l *loader) warn(text string, path ...string) {
	if len(l.Warnings) >= enoughFaults {
		return
	}
	_, value := l.find(path)
	l.Warnings = append(l.Warnings, l.at(value, path, text).String())
}
