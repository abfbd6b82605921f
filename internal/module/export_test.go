package module

import (
	"testing"
	"time"
)

// SetTokenLifetime shortens the life of each token for the hub until the test ends.
func SetTokenLifetime(t *testing.T, d time.Duration) {
	t.Helper()
	was := tokenLifetime
	tokenLifetime = d
	t.Cleanup(func() { tokenLifetime = was })
}
