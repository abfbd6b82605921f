package hubemulator_test

import (
	"net/http"
	"strings"
	"testing"

	paho "github.com/eclipse/paho.mqtt.golang"
)

// When a device is deleted or disabled, or a module is deleted, the hub closes the
// connection and refuses a new one.
func TestRegistry_endsConnections(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, method, path, body string
		want                     int
	}{
		{"module deleted", "DELETE", "/devices/edge1/modules/m1", "", http.StatusNoContent},
		{"device deleted", "DELETE", "/devices/edge1", "", http.StatusNoContent},
		{"device disabled", "PUT", "/devices/edge1", `{"deviceId":"edge1","status":"disabled"}`, http.StatusOK},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			hub, generation := start(t)
			lost := make(chan struct{}, 1)
			o := options(t, hub, generation)
			o.SetAutoReconnect(false)
			o.SetConnectionLostHandler(func(paho.Client, error) { lost <- struct{}{} })
			connect(t, o)
			s := newService(t, hub)
			if module := s.must(t, "GET", "/devices/edge1/modules/m1", ""); !strings.Contains(string(module), `"connectionState":"Connected"`) {
				t.Errorf("not connected: %s", module)
			}
			status, body, err := s.do(t.Context(), tt.method, tt.path, tt.body)
			if err != nil || status != tt.want {
				t.Fatalf("got %d %s %v, want %d", status, body, err, tt.want)
			}
			next(t, lost)
			again := paho.NewClient(o).Connect()
			if !again.WaitTimeout(testTimeout) || again.Error() == nil {
				t.Errorf("login afterwards: %v, want a refusal", again.Error())
			}
		})
	}
}
