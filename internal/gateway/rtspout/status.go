package rtspout

import (
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/bluenviron/gortsplib/v5/pkg/base"

	"rtsptunnel/internal/contract/reason"
	"rtsptunnel/internal/gateway/failure"
)

// status returns the RTSP status of a failure (RFC 2326, 7.1.1). Every hop beyond the
// gateway is 503: players try again then.
func status(f *failure.Failure) base.StatusCode {
	if f.Reason == reason.ViewerTransport {
		return base.StatusUnsupportedTransport
	}
	switch f.HTTPStatus() {
	case http.StatusUnauthorized:
		return base.StatusUnauthorized
	case http.StatusForbidden:
		return base.StatusForbidden
	case http.StatusNotFound:
		return base.StatusNotFound
	case http.StatusTooManyRequests:
		return base.StatusNotEnoughBandwidth
	case http.StatusBadRequest:
		return base.StatusBadRequest
	case http.StatusInternalServerError:
		return base.StatusInternalServerError
	default:
		return base.StatusServiceUnavailable
	}
}

// limitRetry is the Retry-After of a limit that has no time of its own.
const limitRetry = 10 * time.Second

// answer returns the response for a failure.
func answer(f *failure.Failure) *base.Response {
	res := &base.Response{StatusCode: status(f), Header: base.Header{}}
	explain(res, f)
	return res
}

// explain puts the failure into the response's header.
func explain(res *base.Response, f *failure.Failure) {
	if res.Header == nil {
		res.Header = base.Header{}
	}
	res.Header["X-Reason"] = base.HeaderValue{reasonText(f)}
	var pause time.Duration
	switch {
	case !f.RetryAt.IsZero():
		pause = time.Until(f.RetryAt)
	case res.StatusCode == base.StatusNotEnoughBandwidth:
		pause = limitRetry
	default:
		return
	}
	seconds := int(math.Ceil(max(pause.Seconds(), 1)))
	res.Header["Retry-After"] = base.HeaderValue{strconv.Itoa(seconds)}
}

// reasonText returns the value of X-Reason: hop, reason and message.
func reasonText(f *failure.Failure) string {
	message := f.Message
	if message == "" {
		message = f.Reason.Text()
	}
	message = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return ' '
		}
		return r
	}, message)
	return fmt.Sprintf("%s; %s; %s", f.Hop, f.Reason, message)
}

// bareAnswer returns the bytes of a response to a connection that has sent no request.
func bareAnswer(f *failure.Failure) []byte {
	b, _ := answer(f).Marshal()
	return b
}
