package hubconn

import (
	"net"
	"strconv"
	"time"

	"github.com/amenzhinsky/iothub/iotdevice/transport"
	paho "github.com/eclipse/paho.mqtt.golang"
)

// UserName is the CONNECT's user name.
func UserName(o Options) string { return (&Dialer{o: o}).userName() }

// WithLoopback replaces the address of this machine at which the gateway is dialed.
func WithLoopback(r Route, address string) Route {
	r.loopback = address
	return r
}

// GuardStream returns what the client gets of a stream that arrives in chunks of this size.
// A large twin is replaced by one that names its size.
func GuardStream(stream []byte, chunk int) (kept []byte, err error) {
	p := packets{largeTwin: func() LargeTwin { return new(sizeOf) }}
	for len(stream) > 0 {
		n := min(chunk, len(stream))
		some, err := p.next(stream[:n])
		if err != nil {
			return kept, err
		}
		kept = append(kept, some...)
		stream = stream[n:]
	}
	return kept, nil
}

// sizeOf is a LargeTwin whose document is the size of the twin.
type sizeOf int

func (s *sizeOf) Write(p []byte) (int, error) {
	*s += sizeOf(len(p))
	return len(p), nil
}

func (s *sizeOf) Document() []byte { return strconv.AppendInt(nil, int64(*s), 10) }

// LostError is what the guard of a connection that ends reports.
func LostError(conn net.Conn) (lost error) {
	g := &guard{Conn: conn, lost: func(err error) { lost = err }}
	_, _ = g.Read(make([]byte, 1))
	return lost
}

// WorkloadTimeout is how long each call of the workload API may take.
func WorkloadTimeout(d *Dialer) time.Duration { return d.auth.(*workload).http.Timeout }

// Configure returns the settings of the MQTT library: options of its client, and its view
// of the identity.
func Configure(o Options) (*paho.ClientOptions, transport.Credentials) {
	options := paho.NewClientOptions()
	(&Dialer{o: o}).configure(&PreparedConn{}, &Conn{}, func(error) {})(options)
	return options, libraryIdentity{o.Identity}
}

// Answers are the kept answers of one connection.
type Answers = answers

// NewAnswers returns one that keeps answers for window.
func NewAnswers(window time.Duration) *Answers { return &answers{window: window} }

// Call is a call that was delivered for the first time and runs.
type Call struct {
	answers *Answers
	answer  *answer
}

// Deliver is a call that arrives now: it begins, or has been delivered before.
func Deliver(a *Answers, topic, payload string, now time.Time) (begun *Call, body []byte, given bool) {
	call := callOf(topic, []byte(payload))
	if known := a.find(call, now); known != nil {
		_, body, given = a.result(known)
		return nil, body, given
	}
	return &Call{a, a.add(call, now)}, nil, false
}

// End gives the call its answer.
func (c *Call) End(body string) { c.answers.give(c.answer, 200, []byte(body)) }
