package gateway

import (
	"time"

	"rtsptunnel/internal/contract/reason"
)

// noteCertificates tells in /readyz of certificates that cannot be read again, or that
// expire soon.
func (g *gateway) noteCertificates() {
	text := ""
	for files, pair := range g.pairs {
		state := pair.State()
		switch {
		case state.Fault != nil:
			text = "the newest certificate is not in force: " + oneLine(state.Fault)
		case time.Until(state.NotAfter) < soonExpired:
			text = files[0] + " is valid until " + state.NotAfter.UTC().Format(time.RFC3339) + ": renew it"
		}
	}
	g.status.note(partTLS, reason.ConfigFormat, text)
}

// noteHubs tells in /readyz of hubs whose cameras cannot be read. Known cameras stay.
func (g *gateway) noteHubs() {
	text, code := "", reason.Code("")
	for _, hub := range g.fleet.Hubs() {
		if f := hub.Failure; f != nil {
			text, code = "the cameras of hubs."+hub.Name+" cannot be read: "+f.Reason.Text(), f.Reason
		}
	}
	g.status.note(partHubs, code, text)
}

// certificateExpiry returns the time of the certificate that expires first; zero without any.
func (g *gateway) certificateExpiry() (first time.Time) {
	for _, pair := range g.pairs {
		if until := pair.State().NotAfter; first.IsZero() || until.Before(first) {
			first = until
		}
	}
	return first
}
