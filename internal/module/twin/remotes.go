package twin

import (
	"net/url"
	"strconv"

	"rtsptunnel/internal/module/policy"
)

// checkRemotes returns, by label, the faults of patterns that the schema accepts but that
// could never match an endpoint.
func checkRemotes(patterns map[string]string) map[string]string {
	_, errs := policy.ParseRemotes(patterns)
	faults := make(map[string]string, len(errs))
	for label, err := range errs {
		faults[label] = err.Error()
	}
	return faults
}

// checkProxy returns the fault of a proxy's URL that the schema accepts, or "".
func checkProxy(address string) (text string) {
	u, err := url.Parse(address)
	if err != nil || !validPort(u.Port()) {
		return "must be a URL whose port is from 1 to 65535"
	}
	return ""
}

func validPort(port string) bool {
	n, err := strconv.Atoi(port)
	return port == "" || err == nil && n >= 1 && n <= 65535
}
