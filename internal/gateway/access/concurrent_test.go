package access_test

import (
	"sync"
	"testing"
	"time"

	"rtsptunnel/internal/gateway/access"
)

// All methods run at once; the race detector judges.
func TestAccess_concurrent(t *testing.T) {
	a, wall, ops := open(t, newFakeStore())
	token, _ := mint(t, a, wall, "edge1/front", 0)
	var all sync.WaitGroup
	for _, f := range []func() error{
		func() error { a.Set(staticTokens()); return nil },
		func() error { return a.Tend() },
		func() error { _ = a.JWKS(); return nil },
		func() error { _, err := a.Authenticate(token, here); return err },
		func() error {
			_, err := a.AuthenticatePlayback(a.Playback(ops, "edge1/front"), "edge1/front")
			return err
		},
		func() error { _, _, err := a.MintContent(ops, "edge1/front", 0); return err },
		func() error { value, _, err := a.Cookie(wall); _, _ = a.AuthenticateCookie(value); return err },
		func() error { return a.EndCookies(wall) },
		func() error {
			s, secret, err := a.Share(ops, access.NewShare{Camera: "edge1/front", End: time.Now().Add(time.Hour)})
			if err != nil {
				return err
			}
			_, _, _, opened := a.OpenShare(secret, here)
			_, _ = a.Shares(ops)
			if err := a.RevokeShare(ops, s.ID); err != nil {
				return err
			}
			return opened
		},
		func() error {
			login, _, err := a.OneTimeLogin(ops, 0)
			if err != nil {
				return err
			}
			_, err = a.Redeem(login, here)
			return err
		},
	} {
		all.Go(func() {
			for range 20 {
				if err := f(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
}
