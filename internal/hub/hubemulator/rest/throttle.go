package rest

import (
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"rtsptunnel/internal/hub/hubemulator/throttle"
)

// numberThrottling is IoT Hub's error number for ThrottlingException.
const numberThrottling = 429001

// throttle refuses requests that exceed the limits, or that a fault rule selects.
func (a *api) throttle(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		retryAfter, throttled := a.Faults.TakeThrottled()
		if !throttled {
			retryAfter, throttled = a.overLimit(r)
		}
		if throttled {
			a.refuseThrottled(w, r, retryAfter)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (a *api) overLimit(r *http.Request) (retryAfter time.Duration, over bool) {
	kind, cost := operation(r)
	retryAfter, ok := a.Throttle.Take(kind, cost)
	return retryAfter, !ok
}

// operation returns the kind and the cost of a request for the limits.
func operation(r *http.Request) (kind throttle.Kind, cost int) {
	path := r.URL.EscapedPath()
	switch {
	case r.Method == http.MethodPost && path == "/devices/query":
		return throttle.Queries, 1
	case path == "/configurations" || strings.HasPrefix(path, "/configurations/"):
		return throttle.Configurations, 1
	case !strings.HasPrefix(path, "/twins/"):
		return throttle.Registry, 1
	case r.Method == http.MethodPost:
		return throttle.Methods, throttle.MethodCost(r.ContentLength)
	case r.Method == http.MethodGet:
		return throttle.TwinReads, 1
	default:
		return throttle.TwinUpdates, 1
	}
}

// refuseThrottled responds with 429 and IoT Hub's text (Azure/azure-iot-sdk-csharp, issue
// 1189).
func (a *api) refuseThrottled(w http.ResponseWriter, r *http.Request, retryAfter time.Duration) {
	seconds := int(math.Ceil(retryAfter.Seconds()))
	w.Header().Set("Retry-After", strconv.Itoa(seconds))
	a.refuse(w, r, newError(http.StatusTooManyRequests, codeThrottling, fmt.Sprintf(
		"the request has been throttled. Wait %d seconds and try again. (%d)", seconds, numberThrottling)))
}
