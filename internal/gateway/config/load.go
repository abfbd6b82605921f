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

// Load reads and checks the configuration once; see Source.Load.
func Load(o Options) (*Config, error) { return NewSource(o).Load() }

// Source is a configuration that may change. Its methods must not be called concurrently.
type Source struct {
	o    Options
	seen inputs // of the newest Load
}

// NewSource reads nothing yet.
func NewSource(o Options) *Source { return &Source{o: o} }

// Load reads and checks the configuration. If it is invalid, the error is an *Error with all
// faults.
func (s *Source) Load() (*Config, error) {
	env := newEnvironment(s.o.Environ)
	file := cmp.Or(s.o.File, env.value(variableConfig))
	l := &loader{Config: defaults(), env: env, document: &document{file: file}, inputs: inputs{}, variables: map[string]string{}}
	s.seen = l.inputs
	if file != "" {
		if err := l.readFile(file); err != nil {
			return nil, err
		}
	}
	l.overlay()
	l.faults = append(l.faults, env.unknown(l.references())...)
	if file == "" && len(l.Hubs) == 0 && len(l.faults) == 0 {
		l.faults = append(l.faults, Fault{Path: variableHub, Text: "is not set, and " + variableConfig + " neither: set one of them"})
	}
	l.check()
	l.absolute(filepath.Dir(file))
	if !s.o.WithoutSecrets {
		l.readSecrets()
	}
	if err := newError(l.faults); err != nil {
		return nil, err
	}
	slices.Sort(l.Warnings)
	return l.Config, nil
}

// Changed tells whether the file, or a file that it names, has another content than Load
// has read, with or without an error.
func (s *Source) Changed() bool { return s.seen.changed() }

// loader is one Load.
type loader struct {
	*Config
	*document // its faults are those of the configuration

	env       environment
	inputs    inputs
	variables map[string]string // that have replaced a key, by its path
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

// report adds a fault of the value at a path: of the file, or of the variable that replaces it.
func (l *loader) report(text string, path ...string) {
	if len(l.faults) < enoughFaults {
		l.faults = append(l.faults, l.about(text, path))
	}
}

func (l *loader) warn(text string, path ...string) {
	if len(l.Warnings) < enoughFaults {
		l.Warnings = append(l.Warnings, l.about(text, path).String())
	}
}

func (l *loader) about(text string, path []string) Fault {
	if name := l.variables[dotted(path)]; name != "" {
		return Fault{Path: name, Text: text}
	}
	_, value := l.find(path)
	return l.at(value, path, text)
}
