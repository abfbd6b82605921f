package module

import (
	"rtsptunnel/internal/camera"
	"rtsptunnel/internal/edge"
	"rtsptunnel/internal/twin"
)

// Twin applies the desired properties of the whole twin and returns the reported
// properties that acknowledge them. A document that is no twin changes nothing, and a
// panic costs the one document.
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
	cameras, faults := t.Cameras(m.inForce)
	m.inForce = cameras
	list := make([]camera.Camera, len(cameras))
	for i, c := range cameras {
		list[i] = camera.Camera(c)
	}
	m.cameras.Replace(list)
	for _, f := range faults {
		m.log.Warn().Str("path", f.Path).Str("fault", f.Text).Msg("desired property not taken")
	}
	m.log.Info().Int64("version", t.Version).Int("cameras", len(cameras)).Msg("twin applied")
	m.seen.applied.Store(true)
	state := twin.State{Reasons: m.seen.degraded()}
	state.Hub.Protocol = string(c.Protocol)
	return t.Report(state, cameras, faults)
}
