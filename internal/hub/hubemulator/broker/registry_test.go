package broker_test

import (
	"strings"
	"testing"

	paho "github.com/eclipse/paho.mqtt.golang"

	"rtsptunnel/internal/hub/hubemulator/broker"
	"rtsptunnel/internal/hub/hubemulator/store"
)

func TestLogin_disabledDevice(t *testing.T) {
	e := start(t)
	if _, err := e.store.Update(device, store.Settings{Authentication: e.identity(t, device).Authentication, Disabled: true}, ""); err != nil {
		t.Fatal(err)
	}
	for _, id := range []store.ID{device, module} {
		before := len(e.log.String())
		if got := refusedWith(t, e.options(t, id)); got != 5 {
			t.Errorf("%s: CONNACK %d, want 5", id, got)
		}
		if log := e.log.String()[before:]; !strings.Contains(log, store.ErrDisabled.Error()) {
			t.Errorf("%s: the log has no reason:\n%s", id, log)
		}
	}
}

// A change between the login and the session, when Drop finds no session yet, still cuts
// the connection.
func TestLogin_changedBeforeSession(t *testing.T) {
	tests := map[string]func(*store.Store) error{
		"deleted": func(s *store.Store) error {
			_, err := s.Delete(module, "")
			return err
		},
		"disabled": func(s *store.Store) error {
			_, err := s.Update(device, store.Settings{Disabled: true}, "")
			return err
		},
		"other keys": func(s *store.Store) error {
			_, err := s.Update(module, store.Settings{}, "")
			return err
		},
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			e := start(t)
			e.log.at(broker.MessageLoggedIn, func() {
				if err := change(e.store); err != nil {
					t.Error(err)
				}
				e.broker.Drop(module)
			})
			o := e.options(t, module)
			lost := lossOf(o)
			token := paho.NewClient(o).Connect()
			if !token.WaitTimeout(patience) {
				t.Fatal("no answer to CONNECT")
			}
			if token.Error() == nil { // the broker had sent CONNACK already
				next(t, lost)
			}
			if log := e.log.String(); !strings.Contains(log, "the login is not valid any more") {
				t.Errorf("the log has no reason:\n%s", log)
			}
		})
	}
}

func TestConnectionState(t *testing.T) {
	e := start(t)
	disconnected := make(chan struct{}, 2)
	e.log.at(broker.MessageDisconnected, func() { disconnected <- struct{}{} })

	client := connect(t, e.options(t, module))
	first := e.identity(t, module)
	if !first.Connected || first.LastActivity.IsZero() || e.identity(t, other).Connected {
		t.Errorf("connected %v, active %v; the other one connected %v", first.Connected, first.LastActivity, e.identity(t, other).Connected)
	}
	wait(t, client.Publish("devices/d1/modules/m1/messages/events/", 1, false, "x"))
	if active := e.identity(t, module).LastActivity; !active.After(first.LastActivity) {
		t.Errorf("active %v after a message, %v before", active, first.LastActivity)
	}
	// The older of two connections is cut, the identity stays connected.
	o := e.options(t, module)
	again := connect(t, o)
	if got := e.identity(t, module); !got.Connected || !got.ConnectionUpdated.Equal(first.ConnectionUpdated) {
		t.Errorf("after a second login: connected %v since %v, want since %v", got.Connected, got.ConnectionUpdated, first.ConnectionUpdated)
	}
	again.Disconnect(0)
	next(t, disconnected)
	if e.identity(t, module).Connected {
		t.Error("connected without a connection")
	}
}
