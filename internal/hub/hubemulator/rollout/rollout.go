// Package rollout applies deployments to IoT Edge devices. It determines which
// configurations target a device, merges them (package deployment), and updates the
// device's modules. It does so when a configuration changes, and when a property of a
// device changes that target conditions can name.
//
// Differences from IoT Hub:
//   - A change is applied before it is answered; IoT Hub takes up to five minutes.
//   - A manual change of a module twin stays until the next update of the device. IoT Hub
//     reverts it within five minutes (Azure/iotedge, issues 5139 and 6913).
//   - Configurations of devices, and of modules outside IoT Edge (deviceContent,
//     moduleContent), are refused.
//
// There is no edge agent, so the package itself creates the identities of a deployment's
// modules. It deletes them when no deployment names them any more (as in Azure/iotedge,
// ModuleIdentityLifecycleManager). It does not touch identities that others have
// created. A device that no standard deployment targets any more keeps its modules and
// properties ("Understand IoT Edge automatic deployments", section "Rollback").
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

// maxMetrics is the number of custom metrics that a configuration may have (Microsoft,
// "Automatic IoT device and module management", section "Metrics").
const maxMetrics = 5

// Errors of a configuration, besides deployment.ErrContent; match with errors.Is. Their
// texts are for the author of the configuration.
var (
	ErrTarget    = errors.New("the target condition is not supported")
	ErrMetric    = errors.New("a metric is not supported")
	ErrSettings  = errors.New("invalid configuration")
	ErrImmutable = errors.New("the content of a configuration cannot be changed")
)

// Options configures a Rollout.
type Options struct {
	// Store has the configurations and the devices. The rollout registers as its
	// observer of devices. Required.
	Store *store.Store
	// Drop disconnects a deleted module. Required.
	Drop func(store.ID)
	// Log gets deployments that cannot be applied to a device.
	Log zerolog.Logger
}

// Rollout applies configurations to devices. It is safe for concurrent use.
type Rollout struct {
	Options

	// mu is held during an update of devices, so that updates do not overlap.
	mu             sync.Mutex
	configurations []configuration
}

// configuration is a parsed configuration.
type configuration struct {
	store.Configuration

	target  func(query.Document) bool
	content *deployment.Content
}

// New returns a rollout and updates all devices. The error names the configurations in
// the store that cannot be parsed.
func New(o Options) (*Rollout, error) {
	r := &Rollout{Options: o}
	o.Store.OnDevice(r.deviceChanged)
	r.mu.Lock()
	defer r.mu.Unlock()
	return r, r.refresh()
}

// Create stores a new configuration and updates the devices. It wraps the errors above,
// deployment.ErrContent, and the errors of store.Store.CreateConfiguration.
func (r *Rollout) Create(c store.Configuration) (store.Configuration, error) {
	parsed, err := parseConfiguration(c)
	if err == nil {
		err = checkNames(parsed.content)
	}
	if err != nil {
		return store.Configuration{}, err
	}
	return r.change(func() (store.Configuration, error) { return r.Store.CreateConfiguration(c) })
}

// Update changes everything except the content of a configuration, and updates the
// devices. It wraps the errors above, deployment.ErrContent, and the errors of
// store.Store.UpdateConfiguration.
func (r *Rollout) Update(c store.Configuration, ifMatch string) (store.Configuration, error) {
	if _, err := parseConfiguration(c); err != nil {
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

// Delete removes a configuration and updates the devices. It returns the errors of
// store.Store.DeleteConfiguration.
func (r *Rollout) Delete(id, ifMatch string) error {
	_, err := r.change(func() (store.Configuration, error) {
		return store.Configuration{}, r.Store.DeleteConfiguration(id, ifMatch)
	})
	return err
}

// change changes the configurations, updates the devices and delivers the changes.
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

// Apply applies a content to one device, without a configuration. The next update of the
// device reverts it where a deployment differs. Apply wraps deployment.ErrContent and the
// errors of store.Store.Deploy.
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

// parseConfiguration checks and parses a configuration.
func parseConfiguration(c store.Configuration) (configuration, error) {
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

// checkNames wraps store.ErrInvalidID for an invalid module name. A configuration with
// such a name would block all other deployments on its devices.
func checkNames(c *deployment.Content) error {
	for _, module := range append(c.Modules(), deployment.RunBy(c.Overlay(store.EdgeAgent, nil))...) {
		if err := store.CheckModule(module); err != nil {
			return err
		}
	}
	return nil
}

// CheckTarget wraps ErrTarget for a target condition that is not supported.
func CheckTarget(text string) error {
	_, err := parseTarget(text)
	return err
}

// CheckMetric wraps ErrMetric for a query that is not supported.
func CheckMetric(text string) error {
	if _, err := query.Parse(text); err != nil {
		return fmt.Errorf("%w: %w", ErrMetric, err)
	}
	return nil
}

// parseTarget returns a function that reports whether a device matches the target
// condition. No device matches an empty condition, and every device matches *.
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

// parseContent parses a content with its modulesContent.
func parseContent(text []byte) (*deployment.Content, error) {
	var content struct {
		ModulesContent json.RawMessage `json:"modulesContent"`
		DeviceContent  json.RawMessage `json:"deviceContent"`
		ModuleContent  json.RawMessage `json:"moduleContent"`
	}
	if err := json.Unmarshal(text, &content); err != nil {
		return nil, fmt.Errorf("%w: it is not an object", deployment.ErrContent)
	}
	if isPresent(content.DeviceContent) || isPresent(content.ModuleContent) {
		return nil, fmt.Errorf("%w: deviceContent and moduleContent are not emulated, modulesContent is", deployment.ErrContent)
	}
	if !isPresent(content.ModulesContent) {
		return nil, fmt.Errorf("%w: modulesContent is missing", deployment.ErrContent)
	}
	return deployment.Parse(content.ModulesContent)
}

// isPresent reports whether a content is neither missing, null nor {}. SDKs send null or
// {} for contents that are not used.
func isPresent(content json.RawMessage) bool {
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
