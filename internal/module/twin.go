package module

import (
	"encoding/json"
	"reflect"
	"time"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/module/hublink"
	"rtsptunnel/internal/module/logline"
	"rtsptunnel/internal/module/report"
	"rtsptunnel/internal/module/twin"
)

// maxFaultLines limits the log lines for the faults of one twin.
const maxFaultLines = 32

// Twin applies the desired properties of doc, the whole twin, if they have changed. It
// returns the patch that brings the reported properties up to date, nil for none. A
// document that is not a twin changes nothing. A panic is logged, and the module
// continues.
func (m *module) Twin(doc []byte, c hublink.Connection) (reported []byte) {
	defer func() {
		if p := recover(); p != nil {
			m.log.Error().Interface("panic", p).Msg("internal error: twin not applied")
			reported = nil
		}
	}()
	t, err := twin.Parse(doc)
	if err != nil {
		m.log.Warn().Err(err).Msg("twin not applied: the last valid one stays in force")
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	inForce, outcome := t.Apply(m.inForce)
	inForce.Log.Level = m.levelInForce(inForce, outcome)
	if m.inForce == nil || !reflect.DeepEqual(*m.inForce, inForce) || !reflect.DeepEqual(m.outcome, outcome) {
		m.apply(m.held(inForce))
		m.logOutcome(inForce, outcome)
	}
	m.inForce, m.outcome = &inForce, outcome
	m.observer.applied.Store(true)
	want := report.Build(m.state(c, inForce, outcome), m.held(inForce), outcome)
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

// logOutcome logs which desired properties are in force, and which are rejected.
func (m *module) logOutcome(inForce twin.Settings, o twin.Outcome) {
	for _, f := range o.Faults[:min(len(o.Faults), maxFaultLines)] {
		m.log.Warn().Str("path", logline.Cut(f.Path)).Str("reason", string(f.Code)).Str("fault", f.Text).Str("inForce", f.InForce).Msg("desired property rejected")
	}
	if more := len(o.Faults) - maxFaultLines; more > 0 {
		m.log.Warn().Int("more", more).Msg("more desired properties rejected")
	}
	for _, w := range o.Warnings[:min(len(o.Warnings), maxFaultLines)] {
		m.log.Warn().Str("path", logline.Cut(w.Path)).Msg("desired property " + w.Text)
	}
	if len(o.UnknownKeys) > 0 {
		m.log.Warn().Strs("keys", o.UnknownKeys).Msg("desired properties unknown to this version")
	}
	if inForce.Tunnels.Max > m.mostTunnels {
		m.log.Warn().Str("reason", string(reason.LimitDescriptors)).Int("max", m.mostTunnels).Int("desired", inForce.Tunnels.Max).
			Msg("tunnels.max is lowered: " + reason.LimitDescriptors.Text())
	}
	m.log.Info().Int64("version", o.Version).Int("cameras", len(inForce.Cameras)).Msg("twin applied")
}
