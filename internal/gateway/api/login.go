package api

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"rtsptunnel/internal/gateway/access"
)

// login answers POST /login {token} or {code}: it sets the login cookie.
func (a *API) login(w http.ResponseWriter, r *http.Request, _ access.Principal) error {
	if err := a.Browser.CheckLogin(r); err != nil {
		return err
	}
	const members = "either token or code"
	var body struct{ Token, Code string }
	if err := decode(w, r, &body, members); err != nil {
		return err
	}
	if (body.Token == "") == (body.Code == "") {
		return invalid(members)
	}
	p, err := a.principalOf(w, body.Token, body.Code)
	if err != nil {
		return err
	}
	value, expires, err := a.Access.Cookie(p)
	if err != nil {
		return err
	}
	a.Browser.SetCookie(w, r, value, expires)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// principalOf returns the principal of a token or of a code, for the log, too.
func (a *API) principalOf(w http.ResponseWriter, token, code string) (p access.Principal, err error) {
	if token != "" {
		p, err = a.Access.Authenticate(token, fromOf(w))
	} else {
		p, err = a.Access.Redeem(code, fromOf(w))
	}
	if err == nil {
		identify(w, p)
	}
	return p, err
}

// logout answers POST /logout {all?}: it removes the login cookie, also an invalid one. With
// all, it also ends the logins of all other browsers with the same token.
func (a *API) logout(w http.ResponseWriter, r *http.Request, _ access.Principal) error {
	if err := a.Browser.CheckLogin(r); err != nil {
		return err
	}
	var body struct{ All bool }
	if err := decode(w, r, &body, "all"); err != nil {
		return err
	}
	if body.All {
		if err := a.endAll(w, r); err != nil {
			return err
		}
	}
	a.Browser.EndCookie(w, r)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (a *API) endAll(w http.ResponseWriter, r *http.Request) error {
	p, err := a.authenticate(r, fromOf(w))
	if err != nil {
		return err
	}
	identify(w, p)
	if err := a.Access.EndCookies(p); err != nil {
		return err
	}
	a.ended()
	return nil
}

// me is the body of GET /api/me.
type me struct {
	Name    string      `json:"name"`
	Role    access.Role `json:"role"`
	Expires *time.Time  `json:"expires,omitempty"`
	Outputs []string    `json:"outputs"`
	Shares  bool        `json:"shares"` // may make shares
}

// showMe answers GET /api/me.
func (a *API) showMe(w http.ResponseWriter, r *http.Request, p access.Principal) error {
	return answer(w, r, me{
		Name: p.Name, Role: p.Role, Expires: timestamp(p.Expires), Outputs: append([]string{}, a.Outputs...), Shares: p.MayShare,
	})
}

const (
	loginFor    = 5 * time.Minute // a one-time login
	maxLoginFor = time.Hour
)

// makeLogin answers POST /api/logins {seconds?}: a code that logs one browser in, with the
// principal's rights.
func (a *API) makeLogin(w http.ResponseWriter, r *http.Request, p access.Principal) error {
	if err := p.Grant(access.Manage, ""); err != nil {
		return err
	}
	var body struct{ Seconds int64 }
	if err := decode(w, r, &body, "seconds"); err != nil {
		return err
	}
	lifetime, err := lifetimeOf(body.Seconds, loginFor, maxLoginFor)
	if err != nil {
		return err
	}
	code, expires, err := a.Access.OneTimeLogin(p, lifetime)
	if err != nil {
		return err
	}
	return created(w, struct {
		Code    string     `json:"code"`
		Expires *time.Time `json:"expires"`
	}{code, timestamp(expires)})
}

// lifetimeOf returns a number of seconds as a time, and the default for 0.
func lifetimeOf(seconds int64, usual, most time.Duration) (time.Duration, error) {
	switch {
	case seconds == 0:
		return usual, nil
	case seconds < 0 || seconds > int64(most/time.Second):
		return 0, invalid("seconds from 1 to " + strconv.FormatInt(int64(most/time.Second), 10))
	default:
		return time.Duration(seconds) * time.Second, nil
	}
}

// showKeys answers GET /.well-known/jwks.json, which any page may read.
func (a *API) showKeys(w http.ResponseWriter, r *http.Request, _ access.Principal) error {
	header := w.Header()
	header.Set("Cache-Control", "public, max-age=300")
	header.Set("Access-Control-Allow-Origin", "*")
	header.Set("Cross-Origin-Resource-Policy", "cross-origin")
	return answer(w, r, json.RawMessage(a.Access.JWKS()))
}
