package module

import (
	"encoding/json"
	"reflect"
	"time"

	"rtsptunnel/internal/module/edge"
	"rtsptunnel/internal/module/report"
	"rtsptunnel/internal/module/twin"
)

// maxFaultLines is how many faults of one twin are logged each on a line of its own.
const maxFaultLines = 32

// Twin applies the desired properties of the whole twin, if they are others than before,
// and returns what the reported ones lack. A document that is no twin changes nothing,
// and a panic costs the one document.
func (m *module) Twin(doc []byte, c edge.Connection) (reported []byte) {
	defer func() {
		if p := recover(); p != nil {
			m.log.Error().Interface("panic", p).Msg("internal error: twin not applied")
			reported = nil
		}
	}()
	t, err := twin.Parse(doc)
	if err != nil {
		m.log.Warn().Err(err).Msg("twin not applied: the last good one stays in force")
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	inForce, outcome := t.Apply(m.inForce)
	inForce.Log.Level = m.logLevel(inForce, outcome)
	if m.inForce == nil || !reflect.DeepEqual(*m.inForce, inForce) || !reflect.DeepEqual(m.outcome, outcome) {
		m.apply(inForce)
		m.tell(inForce, outcome)
	}
	m.inForce, m.outcome = &inForce, outcome
	m.seen.applied.Store(true)
	want := report.Build(m.state(c, inForce, outcome), inForce, outcome)
	patch := report.Diff(t.Reported, want)
	if patch == nil || m.isTooEarly(patch, time.Now()) {
		return nil
	}
	reported, err = json.Marshal(patch)
	if err != nil { // a decoded section always encodes
		m.log.Error().Err(err).Msg("internal error: reported properties not encoded")
		return nil
	}
	return reported
}

// tell logs what became of a twin.
func (m *module) tell(inForce twin.Settings, o twin.Outcome) {
	for _, f := range o.Faults[:min(len(o.Faults), maxFaultLines)] {
		m.log.Warn().Str("path", f.Path).Str("reason", string(f.Code)).Str("fault", f.Text).Str("inForce", f.InForce).Msg("desired property not taken")
	}
	if more := len(o.Faults) - maxFaultLines; more > 0 {
		m.log.Warn().Int("more", more).Msg("desired properties not taken")
	}
	for _, w := range o.Warnings[:min(len(o.Warnings), maxFaultLines)] {
		m.log.Warn().Str("path", w.Path).Msg("desired property " + w.Text)
	}
	if len(o.UnknownKeys) > 0 {
		m.log.Warn().Strs("keys", o.UnknownKeys).Msg("desired properties unknown to this version")
	}
	m.log.Info().Int64("version", o.Version).Int("cameras", len(inForce.Cameras)).Msg("twin applied")
}
