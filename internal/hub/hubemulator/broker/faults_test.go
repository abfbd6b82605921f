package broker_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"rtsptunnel/internal/hub/hubemulator/broker"
	"rtsptunnel/internal/hub/hubemulator/faults"
	"rtsptunnel/internal/hub/hubemulator/store"
	"rtsptunnel/internal/hub/hubemulator/throttle"
)

const (
	twinGet   = "$iothub/twin/GET/?$rid="
	twinPatch = "$iothub/twin/PATCH/properties/reported/?$rid="
	twinRes   = "$iothub/twin/res/"
)

func (e *env) putFaults(t *testing.T, rules faults.Rules) {
	t.Helper()
	if err := e.faults.Put(rules); err != nil {
		t.Fatal(err)
	}
}

func (e *env) putFaultsFor(t *testing.T, id store.ID, rules faults.Rules) {
	t.Helper()
	if err := e.faults.PutFor(id.String(), rules); err != nil {
		t.Fatal(err)
	}
}

func expectTopic(t *testing.T, messages <-chan paho.Message, want string) {
	t.Helper()
	if got := next(t, messages).Topic(); got != want {
		t.Fatalf("topic %s, want %s", got, want)
	}
}

// expectNothing fails the test if a message has arrived.
func expectNothing(t *testing.T, messages <-chan paho.Message) {
	t.Helper()
	select {
	case m := <-messages:
		t.Fatalf("%s arrived", m.Topic())
	default:
	}
}

func TestFaults_loginRefused(t *testing.T) {
	e := start(t)
	e.putFaults(t, faults.Rules{Logins: &faults.Logins{Refuse: true}})
	e.putFaultsFor(t, other, faults.Rules{Logins: &faults.Logins{}})
	if code := refusedWith(t, e.options(t, module)); code != 5 {
		t.Errorf("CONNACK %d, want 5", code)
	}
	if !strings.Contains(e.log.String(), "refused by an injected fault") {
		t.Error("the log does not name the fault")
	}
	connect(t, e.options(t, other))
	e.faults.Clear()
	connect(t, e.options(t, module))
}

func TestFaults_cutAfter(t *testing.T) {
	const life = 200 * time.Millisecond
	e := start(t)
	spared := connect(t, e.options(t, other))
	o := e.options(t, module)
	lost := lossOf(o)
	connect(t, o) // the rule applies although it comes later
	e.putFaultsFor(t, other, faults.Rules{Logins: &faults.Logins{}})
	e.putFaults(t, faults.Rules{Logins: &faults.Logins{CutAfterSeconds: life.Seconds()}})
	next(t, lost)

	begin := time.Now()
	connect(t, o)
	next(t, lost)
	if lived := time.Since(begin); lived < life {
		t.Errorf("cut after %v, want %v", lived, life)
	}
	e.faults.Clear()
	connect(t, o)
	roundTrip(t, spared)
}

func TestFaults_subscriptionsRefused(t *testing.T) {
	e := start(t)
	client := connect(t, e.options(t, module))
	e.putFaults(t, faults.Rules{Subscriptions: &faults.Subscriptions{Refuse: true}})
	if code := granted(t, client, methodsFilter, 0); code != 0x80 {
		t.Errorf("SUBACK %#x, want 0x80", code)
	}
	if _, _, err := e.broker.Invoke(t.Context(), module, broker.Call{Method: "m"}); !errors.Is(err, broker.ErrNotConnected) {
		t.Errorf("invoke: got %v, want %v", err, broker.ErrNotConnected)
	}
	e.faults.Clear()
	if code := granted(t, client, methodsFilter, 0); code != 0 {
		t.Errorf("SUBACK %#x after the fault, want 0", code)
	}
}

func TestFaults_twinStatus(t *testing.T) {
	e := start(t)
	client := connect(t, e.options(t, module))
	answers := subscribe(t, client, twinFilter)
	for status, code := range map[int]string{429: "429001", 500: "500000"} {
		e.putFaults(t, faults.Rules{Twin: &faults.Twin{Status: status}})
		for i, request := range []string{twinGet, twinPatch} {
			rid := fmt.Sprintf("%d-%d", status, i)
			wait(t, client.Publish(request+rid, 1, false, `{"a":1}`))
			m := next(t, answers)
			if want := fmt.Sprintf("%s%d/?$rid=%s", twinRes, status, rid); m.Topic() != want {
				t.Errorf("topic %s, want %s", m.Topic(), want)
			}
			if want := `{"errorCode":` + code + `,"message":"`; !strings.HasPrefix(string(m.Payload()), want) {
				t.Errorf("body %s, want %s..", m.Payload(), want)
			}
		}
	}
	e.faults.Clear()
	wait(t, client.Publish(twinPatch+"x", 1, false, `{"a":1}`))
	expectTopic(t, answers, twinRes+"204/?$rid=x&$version=2") // the first request that changes the twin
}

func TestFaults_twinDelay(t *testing.T) {
	const delay = 200 * time.Millisecond
	e := start(t)
	client := connect(t, e.options(t, module))
	answers := subscribe(t, client, twinFilter)
	e.putFaults(t, faults.Rules{Twin: &faults.Twin{DelaySeconds: delay.Seconds()}})
	begin := time.Now()
	wait(t, client.Publish(twinGet+"1", 1, false, ""))
	wait(t, client.Publish(twinPatch+"2", 1, false, `{"a":1}`))
	expectTopic(t, answers, twinRes+"200/?$rid=1")
	expectTopic(t, answers, twinRes+"204/?$rid=2&$version=2")
	if took := time.Since(begin); took < delay {
		t.Errorf("answered after %v, want %v", took, delay)
	}
}

// Only answers are held; everything else continues. They are released in their order.
func TestFaults_twinHold(t *testing.T) {
	const requests = 100
	e := start(t)
	client := connect(t, e.options(t, module))
	answers := subscribe(t, client, twinFilter)
	updates := subscribe(t, client, desiredFilter)
	answerMethods(t, client, echo(200))
	spared := connect(t, e.options(t, other))
	otherAnswers := subscribe(t, spared, twinFilter)
	e.putFaultsFor(t, module, faults.Rules{Twin: &faults.Twin{Hold: true}})

	for i := range requests {
		wait(t, client.Publish(fmt.Sprint(twinGet, i), 1, false, ""))
	}
	mustInvoke(t, e, module)
	patch(t, e, module, `{"a":1}`)
	next(t, updates)
	wait(t, spared.Publish(twinGet+"x", 1, false, ""))
	expectTopic(t, otherAnswers, twinRes+"200/?$rid=x")
	expectNothing(t, answers)

	e.faults.Clear()
	for i := range requests {
		expectTopic(t, answers, fmt.Sprint(twinRes, "200/?$rid=", i))
	}
	wait(t, client.Publish(twinGet+"last", 1, false, ""))
	expectTopic(t, answers, twinRes+"200/?$rid=last")
}

// An answer that is not held does not overtake held ones.
func TestFaults_twinHoldOnAndOff(t *testing.T) {
	const requests = 1500
	e := start(t)
	client := connect(t, e.options(t, module))
	answers := subscribe(t, client, twinFilter)
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		for i := range requests {
			client.Publish(fmt.Sprint(twinGet, i), 0, false, "")
		}
	}()
	toggled := make(chan struct{})
	go func() {
		defer close(toggled)
		ticker := time.NewTicker(time.Millisecond)
		defer ticker.Stop()
		for on := true; ; on = !on {
			if err := e.faults.Put(faults.Rules{Twin: &faults.Twin{Hold: on}}); err != nil {
				t.Error(err)
			}
			select {
			case <-sent:
				e.faults.Clear()
				return
			case <-ticker.C:
			}
		}
	}()
	for i := range requests {
		expectTopic(t, answers, fmt.Sprint(twinRes, "200/?$rid=", i))
	}
	<-toggled
}

func TestFaults_heldAnswersEndWithConnection(t *testing.T) {
	e := start(t)
	o := e.options(t, module).SetCleanSession(false)
	client := connect(t, o)
	subscribe(t, client, twinFilter)
	e.putFaults(t, faults.Rules{Twin: &faults.Twin{Hold: true}})
	wait(t, client.Publish(twinGet+"old", 1, false, ""))
	roundTrip(t, client)
	client.Disconnect(0)

	again := make(chan paho.Message, 10)
	o.SetDefaultPublishHandler(func(_ paho.Client, m paho.Message) { again <- m })
	client = connect(t, o)
	e.faults.Clear()
	wait(t, client.Publish(twinGet+"new", 1, false, ""))
	expectTopic(t, again, twinRes+"200/?$rid=new")
}

func TestFaults_tooManyHeldAnswers(t *testing.T) {
	e := start(t)
	o := e.options(t, module)
	lost := lossOf(o)
	client := connect(t, o)
	subscribe(t, client, twinFilter)
	harmless := connect(t, e.options(t, other))
	e.putFaults(t, faults.Rules{Twin: &faults.Twin{Hold: true}})
	for i := range 2048 { // the limit of held answers
		client.Publish(fmt.Sprint(twinGet, i), 0, false, "")
	}
	roundTrip(t, client)
	client.Publish(twinGet+"one too many", 0, false, "")
	next(t, lost)
	if !strings.Contains(e.log.String(), "too many answers held") {
		t.Error("the log does not have the reason of the cut")
	}
	roundTrip(t, harmless)
}

// echoAndReport answers method calls with status 200 and their own payload, and returns a
// channel with their topics.
func echoAndReport(t *testing.T, client paho.Client) <-chan string {
	t.Helper()
	delivered := make(chan string, 10)
	answerMethods(t, client, func(topic string, payload []byte) (string, []byte) {
		delivered <- topic
		return echo(200)(topic, payload)
	})
	return delivered
}

func TestFaults_methodsLost(t *testing.T) {
	e := start(t)
	client := connect(t, e.options(t, module))
	delivered := echoAndReport(t, client)
	call := broker.Call{Method: "m", ResponseTimeout: 100 * time.Millisecond}
	for _, tt := range []struct {
		rules     faults.Methods
		delivered bool
	}{{faults.Methods{LoseRequests: true}, false}, {faults.Methods{LoseAnswers: true}, true}} {
		e.putFaults(t, faults.Rules{Methods: &tt.rules})
		if _, _, err := e.broker.Invoke(t.Context(), module, call); !errors.Is(err, broker.ErrNoAnswer) {
			t.Errorf("%+v: got %v, want %v", tt.rules, err, broker.ErrNoAnswer)
		}
		if tt.delivered {
			next(t, delivered)
		}
		if len(delivered) > 0 {
			t.Errorf("%+v: the call was delivered", tt.rules)
		}
	}
	e.faults.Clear()
	mustInvoke(t, e, module)
}

func TestFaults_methodsTwice(t *testing.T) {
	e := start(t)
	client := connect(t, e.options(t, module))
	delivered := echoAndReport(t, client)
	e.putFaults(t, faults.Rules{Methods: &faults.Methods{DeliverTwice: true}})
	mustInvoke(t, e, module)
	if first, second := next(t, delivered), next(t, delivered); first != second {
		t.Errorf("delivered as %s and %s", first, second)
	}
	e.faults.Clear()
	mustInvoke(t, e, module)
	next(t, delivered)
	if len(delivered) > 0 {
		t.Error("a call is still delivered twice")
	}
}

func TestThrottle_twin(t *testing.T) {
	hourly := throttle.Rate{PerSecond: 1.0 / 3600, Burst: 1}
	e := start(t)
	e.throttle = throttle.New(map[throttle.Kind]throttle.Rate{throttle.TwinReads: hourly, throttle.TwinUpdates: hourly})
	e.restart(t)
	client := connect(t, e.options(t, module))
	answers := subscribe(t, client, twinFilter)
	for _, tt := range []struct{ request, want string }{
		{twinGet + "1", "200/?$rid=1"},
		{twinGet + "2", "429/?$rid=2"},
		{twinPatch + "3", "204/?$rid=3&$version=2"},
		{twinPatch + "4", "429/?$rid=4"},
	} {
		wait(t, client.Publish(tt.request, 1, false, `{"a":1}`))
		m := next(t, answers)
		if m.Topic() != twinRes+tt.want {
			t.Errorf("topic %s, want %s", m.Topic(), twinRes+tt.want)
		}
		if refused := strings.HasPrefix(tt.want, "429"); refused != strings.Contains(string(m.Payload()), `"errorCode":429001`) {
			t.Errorf("%s: body %s", m.Topic(), m.Payload())
		}
	}
}

func TestThrottle_connections(t *testing.T) {
	e := start(t)
	e.throttle = throttle.New(map[throttle.Kind]throttle.Rate{throttle.Connections: {PerSecond: 1.0 / 3600, Burst: 1}})
	e.restart(t)
	connect(t, e.options(t, module))
	conn := dial(t, e)
	send(t, conn, connectPacket(t, e, other, true))
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if n, err := conn.Read(make([]byte, 1)); n > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %d bytes, %v; want the connection closed without an answer", n, err)
	}
}
