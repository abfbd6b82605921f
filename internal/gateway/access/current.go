package access

import (
	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/failure"
)

// Current returns the principal again, with the rights that its token has now. Outputs whose
// viewers stay for long call it after Set, EndCookies and RevokeShare, and from time to time:
// it is cheap. The error is ACCESS_LOGIN if the token was removed or replaced, the share
// revoked or the login ended, ACCESS_EXPIRED, or ACCESS_DENIED if the token that minted a
// content token may not watch the camera any more.
func (a *Access) Current(p Principal) (Principal, error) {
	root, err := a.root(p.ID)
	if err != nil {
		return Principal{}, err
	}
	if p.Kind == Static {
		if root.Name != p.Name {
			return Principal{}, failure.New(failure.Viewer, reason.AccessLogin, nil)
		}
		return root.principal(), nil
	}
	return a.derived(root.principal(), p)
}

// root returns the static token with an ID.
func (a *Access) root(id string) (Token, error) {
	set := a.tokens.Load()
	i, ok := set.byID[id]
	switch {
	case !ok:
		return Token{}, failure.New(failure.Viewer, reason.AccessLogin, nil)
	case set.tokens[i].expired():
		return Token{}, failure.New(failure.Viewer, reason.AccessExpired, nil)
	}
	return set.tokens[i], nil
}

// derived returns p with the rights that are left of its static token's.
func (a *Access) derived(root, p Principal) (Principal, error) {
	p.Name = root.Name
	p.Expires = earliest(p.Expires, root.Expires)
	if p.Session != 0 && p.Session != a.sessions.current(p.ID) {
		return Principal{}, failure.New(failure.Viewer, reason.AccessLogin, nil)
	}
	if p.Share != "" {
		end, ok := a.shares.end(p.Share, p.ID, p.Camera)
		if !ok {
			return Principal{}, failure.New(failure.Viewer, reason.AccessLogin, nil)
		}
		p.Expires = earliest(p.Expires, end)
	}
	if p.Kind == Login {
		p.Role, p.Cameras, p.MayShare = root.Role, root.Cameras, root.MayShare
	} else {
		p.Role, p.Cameras, p.MayShare = Viewer, nil, false
		if p.Camera == "" {
			return Principal{}, failure.New(failure.Viewer, reason.AccessDenied, nil)
		}
		if err := root.Grant(Watch, p.Camera); err != nil {
			return Principal{}, err
		}
	}
	if err := p.May(Watch); err != nil {
		return Principal{}, err
	}
	return p, nil
}
