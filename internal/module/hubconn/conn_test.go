package hubconn_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"rtsptunnel/internal/hub/hubemulator/faults"
	"rtsptunnel/internal/module/hubconn"
)

// A connection carries methods, twin and reported properties by each protocol, inside IoT
// Edge and with the hub itself.
func TestConn(t *testing.T) {
	t.Parallel()
	for _, p := range protocols {
		for name, direct := range map[string]bool{"edge hub": false, "hub": true} {
			t.Run(string(p)+" "+name, func(t *testing.T) {
				t.Parallel()
				s := newSite(t)
				if direct {
					s.direct(t)
				}
				d := s.dialer(t)
				err := use(t, d, d.Route(p, s.address(p)), patience, func(c *hubconn.Conn) error {
					if status, body := s.Invoke(t, "x", `{}`); status != 299 || body != `"x"` {
						t.Errorf("answer %d %s", status, body)
					}
					return errors.Join(c.WriteReported(t.Context(), []byte(`{"n":1}`)), c.WriteReported(t.Context(), []byte(`{"m":{"k":null,"l":2}}`)))
				})
				if err != nil {
					t.Fatal(err)
				}
				tw, err := s.Client.Twin(t.Context(), s.ID)
				if err != nil {
					t.Fatal(err)
				}
				if got := string(tw.Properties.Reported); !strings.Contains(got, `"n":1`) || !strings.Contains(got, `"m":{"l":2}`) {
					t.Errorf("reported %s", got)
				}
			})
		}
	}
}

// A refusal is distinguishable from no answer.
func TestConn_refused(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	d := s.dialer(t)
	err := use(t, d, d.Route(hubconn.MQTT, s.MQTTAddr()), patience, func(c *hubconn.Conn) error {
		for _, status := range []int{429, 500} {
			if err := s.Faults().Put(faults.Rules{Twin: &faults.Twin{Status: status}}); err != nil {
				return err
			}
			if err := c.WriteReported(t.Context(), []byte(`{"n":1}`)); !errors.Is(err, hubconn.ErrRefused) || errors.Is(err, hubconn.ErrInvalid) {
				t.Errorf("%d: %v", status, err)
			}
		}
		s.Faults().Clear()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A prepared connection is a connection with TLS on which the login comes later; one that
// is not used can be closed.
func TestPreparedConn_waits(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	d := s.dialer(t)
	r := d.Route(hubconn.MQTT, s.MQTTAddr())
	for range 2 {
		credentials, err := d.Credentials(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		p, err := d.Dial(t.Context(), r, credentials)
		if err != nil {
			t.Fatal(err)
		}
		if life := time.Until(p.Credentials.Expires); life > time.Hour+time.Second || life < 50*time.Minute || p.Credentials.Lifetime != time.Hour {
			t.Errorf("expires in %s, lifetime %s", life, p.Credentials.Lifetime)
		}
		p.Close()
	}
}
