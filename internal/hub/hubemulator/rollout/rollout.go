// Package rollout brings deployments to devices: it knows which configurations target
// which IoT Edge device, and makes of the device's modules what they say together
// (package deployment), whenever a configuration, or what target conditions see of a
// device, has changed.
//
// Simpler than IoT Hub: it is done before the change is answered, where IoT Hub takes
// up to five minutes; and what somebody writes to a module twin by hand stays until
// the device's next turn, where IoT Hub takes it back within these minutes (known
// from Azure/iotedge, issues 5139 and 6913). Configurations of devices and of modules
// that are not those of IoT Edge (deviceContent, moduleContent) are refused.
//
// Identities of modules are made, and deleted when no deployment names them any more,
// as the edge agent of a device does (Azure/iotedge, ModuleIdentityLifecycleManager):
// there is no edge agent here. Those that somebody else has made are left alone. A
// device that no standard deployment targets any more keeps what it has ("Understand
// IoT Edge automatic deployments", section "Rollback").
package rollout

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"

	"github.com/rs/zerolog"

	"rtsptunnel/internal/hub/hubemulator/deployment"
	"rtsptunnel/internal/hub/hubemulator/query"
	"rtsptunnel/internal/hub/hubemulator/store"
)

// maxMetrics is how many metrics a configuration may have of its own (Microsoft,
// "Automatic IoT device and module management", section "Metrics").
const maxMetrics = 5

// What can be wrong with a configuration, besides its content (deployment.ErrContent);
// match with errors.Is. The texts are fit for the caller.
var (
	ErrTarget    = errors.New("the target condition is not supported")
	ErrMetric    = errors.New("a metric is not supported")
	ErrSettings  = errors.New("invalid configuration")
	ErrImmutable = errors.New("the content of a configuration cannot be changed")
)

// Options are what a Rollout needs.
type Options struct {
	// Store holds the configurations and the devices. The rollout registers as the
	// observer of devices. Required.
	Store *store.Store
	// Drop cuts the connection of a module that was deleted. Required.
	Drop func(store.ID)
	// Log hears of deployments that cannot be brought to a device.
	Log zerolog.Logger
}

// Rollout keeps devices as configurations want them. All methods are safe for
// concurrent use.
type Rollout struct {
	Options

	// mu is held while devices are brought up to date, so that each time begins with
	// what the one before has left.
	mu             sync.Mutex
	configurations []configuration
}

// configuration is one that was understood.
type configuration struct {
	store.Configuration

	target  func(query.Document) bool
	content *deployment.Content
}

// New returns a rollout, with all devices brought up to date. The error is about a
// configuration of the store that is not understood.
func New(o Options) (*Rollout, error) {
	r := &Rollout{Options: o}
	o.Store.OnDevice(r.deviceChanged)
	r.mu.Lock()
	defer r.mu.Unlock()
	return r, r.refresh()
}

// Create keeps a new configuration and brings it to the devices. Errors, wrapped: those
// above, deployment.ErrContent, those of store.Store.CreateConfiguration.
func (r *Rollout) Create(c store.Configuration) (store.Configuration, error) {
	understood, err := understand(c)
	if err == nil {
		err = checkNames(understood.content)
	}
	if err != nil {
		return store.Configuration{}, err
	}
	return r.change(func() (store.Configuration, error) { return r.Store.CreateConfiguration(c) })
}

// Update changes all of a configuration but its content, and brings the devices up to
// date. Errors, wrapped: those above, deployment.ErrContent, those of
// store.Store.UpdateConfiguration.
func (r *Rollout) Update(c store.Configuration, ifMatch string) (store.Configuration, error) {
	if _, err := understand(c); err != nil {
		return store.Configuration{}, err
	}
	return r.change(func() (store.Configuration, error) {
		old, err := r.Store.Configuration(c.ID)
		if err == nil && !equalJSON(old.Content, c.Content) {
			return store.Configuration{}, ErrImmutable
		}
		return r.Store.UpdateConfiguration(c, ifMatch)
	})
}

// Delete removes a configuration and brings the devices up to date. Errors are those
// of store.Store.DeleteConfiguration.
func (r *Rollout) Delete(id, ifMatch string) error {
	_, err := r.change(func() (store.Configuration, error) {
		return store.Configuration{}, r.Store.DeleteConfiguration(id, ifMatch)
	})
	return err
}

// change makes a change of the configurations, and all that comes of it.
func (r *Rollout) change(do func() (store.Configuration, error)) (store.Configuration, error) {
	r.mu.Lock()
	c, err := do()
	if err == nil {
		err = r.refresh()
	}
	r.mu.Unlock()
	r.Store.Deliver()
	return c, err
}

// Apply makes a content true of one device, by itself: what deployments want of the
// device comes back with its next turn. Errors, wrapped: deployment.ErrContent, those
// of store.Store.Deploy.
func (r *Rollout) Apply(device string, content []byte) error {
	parsed, err := parseContent(content)
	if err != nil {
		return err
	}
	d := store.Deployment{Desired: make(map[string]func(map[string]any) map[string]any)}
	for _, module := range parsed.Modules() {
		d.Desired[module] = func(have map[string]any) map[string]any { return parsed.Overlay(module, have) }
	}
	if parsed.Standard() {
		d.Modules = nonNil(deployment.RunBy(parsed.Overlay(store.EdgeAgent, nil)))
	}
	r.mu.Lock()
	_, err = r.deploy(device, d)
	r.mu.Unlock()
	r.Store.Deliver()
	return err
}

// understand reads a configuration.
func understand(c store.Configuration) (configuration, error) {
	if c.Priority < 0 {
		return configuration{}, fmt.Errorf("%w: priority must not be negative", ErrSettings)
	}
	if c.SchemaVersion != "1.0" && c.SchemaVersion != "2.0" {
		return configuration{}, fmt.Errorf("%w: schemaVersion must be 1.0 or 2.0", ErrSettings)
	}
	if len(c.Metrics) > maxMetrics {
		return configuration{}, fmt.Errorf("%w: there may be %d at most", ErrMetric, maxMetrics)
	}
	target, err := parseTarget(c.TargetCondition)
	if err != nil {
		return configuration{}, err
	}
	for name, text := range c.Metrics {
		if err := CheckMetric(text); err != nil {
			return configuration{}, fmt.Errorf("%.64q: %w", name, err)
		}
	}
	content, err := parseContent(c.Content)
	return configuration{Configuration: c, target: target, content: content}, err
}

// checkNames returns store.ErrInvalidID, wrapped, for a module that no device can have:
// it would keep all other deployments from the devices that it targets.
func checkNames(c *deployment.Content) error {
	for _, module := range append(c.Modules(), deployment.RunBy(c.Overlay(store.EdgeAgent, nil))...) {
		if err := store.CheckModule(module); err != nil {
			return err
		}
	}
	return nil
}

// CheckTarget returns nil for a target condition that is understood, else ErrTarget,
// wrapped.
func CheckTarget(text string) error {
	_, err := parseTarget(text)
	return err
}

// CheckMetric returns nil for a query that is understood, else ErrMetric, wrapped.
func CheckMetric(text string) error {
	if _, err := query.Parse(text); err != nil {
		return fmt.Errorf("%w: %w", ErrMetric, err)
	}
	return nil
}

// parseTarget returns what a target condition wants: nobody if it is empty, all if it
// is *.
func parseTarget(text string) (func(query.Document) bool, error) {
	switch condition := strings.TrimSpace(text); {
	case condition == "":
		return func(query.Document) bool { return false }, nil
	case condition == "*":
		return func(query.Document) bool { return true }, nil
	case strings.Contains(condition, `"`):
		return nil, fmt.Errorf("%w: it must not have double quotes", ErrTarget)
	}
	q, err := query.ParseTarget(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTarget, err)
	}
	return q.Matches, nil
}

// parseContent reads what stands around modulesContent, too.
func parseContent(text []byte) (*deployment.Content, error) {
	var content struct {
		ModulesContent json.RawMessage `json:"modulesContent"`
		DeviceContent  json.RawMessage `json:"deviceContent"`
		ModuleContent  json.RawMessage `json:"moduleContent"`
	}
	if err := json.Unmarshal(text, &content); err != nil {
		return nil, fmt.Errorf("%w: it is not an object", deployment.ErrContent)
	}
	if isThere(content.DeviceContent) || isThere(content.ModuleContent) {
		return nil, fmt.Errorf("%w: deviceContent and moduleContent are not emulated, modulesContent is", deployment.ErrContent)
	}
	if !isThere(content.ModulesContent) {
		return nil, fmt.Errorf("%w: modulesContent is missing", deployment.ErrContent)
	}
	return deployment.Parse(content.ModulesContent)
}

// isThere says whether a content has something to say: SDKs send those that are not
// used as null or {}.
func isThere(content json.RawMessage) bool {
	var members map[string]json.RawMessage
	return len(content) > 0 && (json.Unmarshal(content, &members) != nil || len(members) > 0)
}

func equalJSON(a, b []byte) bool {
	x, errX := decode(a)
	y, errY := decode(b)
	return errX == nil && errY == nil && reflect.DeepEqual(x, y)
}

func decode(text []byte) (value any, err error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	return value, decoder.Decode(&value)
}

func nonNil(list []string) []string {
	return append([]string{}, list...)
}
