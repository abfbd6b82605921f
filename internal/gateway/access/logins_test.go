package access_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/access"
	"rtsptunnel/internal/gateway/failure"
)

func codeAnyHop(err error) reason.Code {
	if err == nil {
		return ""
	}
	return failure.Of(err).Reason
}

func oneTime(t *testing.T, a *access.Access, by access.Principal, lifetime time.Duration) (string, time.Time) {
	t.Helper()
	login, expires, err := a.OneTimeLogin(by, lifetime)
	if err != nil {
		t.Fatal(err)
	}
	return login, expires
}

func TestOneTimeLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, wall, ops := open(t, nil)
		begun := time.Now()
		for asked, want := range map[time.Duration]time.Duration{0: 10 * time.Minute, -1: 10 * time.Minute, time.Hour: time.Hour, 100 * time.Hour: 24 * time.Hour} {
			if _, expires := oneTime(t, a, ops, asked); !expires.Equal(begun.Add(want)) {
				t.Errorf("%v asked: it lasts %v", asked, expires.Sub(begun))
			}
		}
		first, _ := oneTime(t, a, ops, 0)
		second, _ := oneTime(t, a, cookie(t, a, ops), 0)
		late, _ := oneTime(t, a, ops, 0)
		for name, login := range map[string]string{"of a token": first, "of a login": second} {
			p, err := a.Redeem(login, here)
			if err != nil || p.Name != "ops" || p.ID != ops.ID || p.Kind != access.Static {
				t.Errorf("%s: %+v, %v", name, p, err)
			}
			cookie(t, a, p)
			if _, err := a.Redeem(login, here); code(err) != reason.AccessLogin {
				t.Errorf("%s, again: %v", name, err)
			}
		}
		for name, login := range map[string]string{"a static token": opsClear, "empty": "", "garbage": "rto_", "longer": late + "A"} {
			if _, err := a.Redeem(login, here); code(err) != reason.AccessLogin {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, err := a.Authenticate(late, here); code(err) != reason.AccessLogin {
			t.Errorf("a code is a token: %v", err)
		}
		<-time.After(10 * time.Minute)
		if _, err := a.Redeem(late, here); code(err) != reason.AccessExpired {
			t.Errorf("late: %v", err)
		}
		if _, _, err := a.OneTimeLogin(wall, 0); code(err) != reason.AccessDenied {
			t.Errorf("a viewer makes a code: %v", err)
		}
	})
}

func TestRedeem_removedToken(t *testing.T) {
	a, _, ops := open(t, nil)
	login, _ := oneTime(t, a, ops, 0)
	a.Set(nil)
	if _, err := a.Redeem(login, here); code(err) != reason.AccessLogin {
		t.Errorf("a code of a removed token: %v", err)
	}
	for i := range 11 {
		_, err := a.Redeem("rto_wrong", here)
		if want := i == 9 || i == 10; (code(err) == reason.AccessThrottled) != want {
			t.Errorf("failure %d: %v", i+2, err)
		}
	}
}

// Of many that redeem a code at once, one gets in.
func TestRedeem_once(t *testing.T) {
	a, _, ops := open(t, nil)
	login, _ := oneTime(t, a, ops, 0)
	var admitted atomic.Int64
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if _, err := a.Redeem(login, here); err == nil {
				admitted.Add(1)
			}
		})
	}
	all.Wait()
	if n := admitted.Load(); n != 1 {
		t.Errorf("%d got in", n)
	}
}

// A hundred codes are kept: of more, the one that expires first is dropped.
func TestOneTimeLogin_bounded(t *testing.T) {
	a, _, ops := open(t, nil)
	short, _ := oneTime(t, a, ops, time.Minute)
	var kept []string
	for range 100 {
		login, _ := oneTime(t, a, ops, time.Hour)
		kept = append(kept, login)
	}
	if _, err := a.Redeem(short, here); code(err) != reason.AccessLogin {
		t.Errorf("the code that expires first: %v", err)
	}
	for i, login := range kept {
		if _, err := a.Redeem(login, here); err != nil {
			t.Errorf("code %d: %v", i, err)
		}
	}
}
