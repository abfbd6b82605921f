package broker_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"rtsptunnel/internal/hub/hubemulator/broker"
	"rtsptunnel/internal/hub/hubemulator/sas"
)

// tokenFor sets a token in o that expires after life.
func tokenFor(t *testing.T, e *env, o *paho.ClientOptions, life time.Duration) *paho.ClientOptions {
	t.Helper()
	return o.SetPassword(sign(t, hostName+"/"+module.Path(), e.identity(t, module).PrimaryKey, life))
}

func TestExpiry_cutsConnection(t *testing.T) {
	e := start(t)
	bystander := connect(t, e.options(t, other))
	// Expiries have whole seconds: the token expires in two to three seconds.
	o := tokenFor(t, e, e.options(t, module).SetCleanSession(false), 3*time.Second)
	lost := lossOf(o)
	begin := time.Now()
	client, _ := logInAs(t, o)
	wait(t, client.Subscribe(methodsFilter, 0, nil))
	next(t, lost)
	if lived := time.Since(begin); lived < 500*time.Millisecond {
		t.Errorf("cut after %s", lived)
	}
	if n := strings.Count(e.log.String(), `"expiry":`); n != 1 {
		t.Errorf("the log has %d expiries, want 1:\n%s", n, e.log.String())
	}
	if _, _, err := e.broker.Invoke(t.Context(), module, broker.Call{Method: "m"}); !errors.Is(err, broker.ErrNotConnected) {
		t.Errorf("got %v, want %v", err, broker.ErrNotConnected)
	}
	if code := refusedWith(t, o); code != 5 {
		t.Errorf("reconnect with the old token: CONNACK %d, want 5", code)
	}

	// With a new token, the client resumes its session.
	fresh := e.options(t, module).SetCleanSession(false).SetDefaultPublishHandler(func(c paho.Client, m paho.Message) {
		topic, payload := echo(200)(m.Topic(), m.Payload())
		c.Publish(topic, 0, false, payload)
	})
	if _, present := logInAs(t, fresh); !present {
		t.Error("no session present")
	}
	mustInvoke(t, e, module)
	roundTrip(t, bystander)
}

func TestExpiry_farAway(t *testing.T) {
	e := start(t)
	for _, life := range []time.Duration{time.Hour, 1<<63 - 1} {
		client := connect(t, tokenFor(t, e, e.options(t, module), life))
		roundTrip(t, client)
		client.Disconnect(0)
	}
	// The year 292277026596 stands for never in some clients.
	client := connect(t, e.options(t, module).SetPassword(neverExpires(t, e)))
	roundTrip(t, client)
	roundTrip(t, client)
	if log := e.log.String(); strings.Contains(log, `"expiry":`) {
		t.Errorf("cut:\n%s", log)
	}
}

func neverExpires(t *testing.T, e *env) string {
	t.Helper()
	const last = 1<<63 - 1 - 62135596800 // the last second that time.Time can represent
	token, err := sas.Sign(hostName+"/"+module.Path(), "", e.identity(t, module).PrimaryKey, time.Unix(last, 0))
	if err != nil {
		t.Fatal(err)
	}
	return token
}
