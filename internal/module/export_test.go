package module

import (
	"os"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"rtsptunnel/internal/edge"
	"rtsptunnel/internal/tunnelopen"
)

// SetTokenLifetime shortens the life of each token for the hub until the test ends.
func SetTokenLifetime(t *testing.T, d time.Duration) {
	t.Helper()
	was := tokenLifetime
	tokenLifetime = d
	t.Cleanup(func() { tokenLifetime = was })
}

// HubTurns sets after what time the hub's loop counts as stuck, for one test.
func HubTurns(t *testing.T, d time.Duration) {
	t.Helper()
	before := hubTurns
	hubTurns = d
	t.Cleanup(func() { hubTurns = before })
}

// TwinOfNobody gives doc to a module that was never wired, which panics with it.
func TwinOfNobody(doc []byte) (reported []byte) { return new(module).Twin(doc, edge.Connection{}) }

// OwnStdout takes standard output away from everybody else.
func OwnStdout() *os.File { return ownStdout() }

// MethodOfBrokenModule is the answer of a module in which tunnelOpen panics.
func MethodOfBrokenModule(t *testing.T, payload []byte, log zerolog.Logger) (status int, body []byte) {
	t.Helper()
	return (&module{log: log}).Method(t.Context(), tunnelopen.MethodName, payload)
}
