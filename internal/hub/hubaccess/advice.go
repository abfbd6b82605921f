package hubaccess

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"strings"
	"syscall"

	"rtsptunnel/internal/hub/hubclient"
)

// Advice returns a line that says what to do about an error of hubclient. It is empty if
// there is no advice.
func Advice(err error) string {
	text := adviceOnConnection(err)
	if e, ok := errors.AsType[*hubclient.Error](err); ok {
		text = adviceOnResponse(e)
	}
	if text == "" {
		return ""
	}
	return text + "\n"
}

// adviceOnConnection is for hubs that were not reached.
func adviceOnConnection(err error) string {
	_, unknownCA := errors.AsType[x509.UnknownAuthorityError](err)
	_, otherName := errors.AsType[x509.HostnameError](err)
	_, noTLS := errors.AsType[tls.RecordHeaderError](err)
	_, noName := errors.AsType[*net.DNSError](err)
	netErr, isNet := errors.AsType[net.Error](err)
	switch {
	case unknownCA:
		return "An emulator signs its certificate with its own authority: name the ca.pem in its state directory by --ca-file, HUB_CA_FILE or CA_FILE."
	case otherName:
		return "The certificate is for another name than HostName in the connection string. An emulator's certificate has localhost and the name given by serve --hostname."
	case noTLS || errors.Is(err, http.ErrSchemeMismatch):
		return "The server there does not speak TLS: is it the hub's HTTPS port?"
	case noName:
		return "Check HostName in the connection string, and this machine's DNS."
	case errors.Is(err, syscall.ECONNREFUSED):
		return "No program listens there: does hubemulator serve run, with that address as its --https?"
	case isNet && netErr.Timeout(): // of the connection, of TLS, or of the whole request
		return "No answer in time: check the network, and HTTPS_PROXY if there is a proxy."
	}
	return ""
}

// Error codes that say more than the HTTP status does ("Understand and resolve Azure IoT
// Hub errors").
const (
	numberOffline = 404103
	codeOffline   = "DeviceNotOnline"
	codeNoModule  = "ModuleNotFound"

	codeNoConfiguration     = "ConfigurationNotFound"
	codeConfigurationExists = "ConfigurationAlreadyExists"
)

// adviceOnResponse is for requests that the hub refused.
func adviceOnResponse(e *hubclient.Error) string {
	switch e.Status {
	case http.StatusUnauthorized:
		return "Check the connection string (HostName, SharedAccessKeyName, SharedAccessKey; is it this hub's?) and this machine's clock."
	case http.StatusForbidden:
		return "The policy in the connection string does not allow this, or the hub's quota is used up."
	case http.StatusNotFound:
		return adviceOnNotFound(e)
	case http.StatusConflict:
		if e.Code == codeConfigurationExists {
			return "Another client has just made one with that id: try again."
		}
		return "It exists already: tunnelctl hub device show, or module show, shows it."
	case http.StatusPreconditionFailed:
		return "It has been changed since you read it: read it again, and give its new etag."
	case http.StatusTooManyRequests:
		return "The hub is throttling: wait a little and try again."
	case http.StatusGatewayTimeout:
		return "It is connected and did not answer: does it know this method? Give it longer by --timeout."
	case http.StatusInternalServerError, http.StatusServiceUnavailable:
		return "The fault is in the hub: try again."
	}
	return ""
}

func adviceOnNotFound(e *hubclient.Error) string {
	switch {
	case e.Number == numberOffline || strings.HasPrefix(e.Code, codeOffline):
		return "It is offline, or does not accept methods: start it, or wait longer for it by --connect-timeout."
	case e.Code == codeNoConfiguration:
		return "tunnelctl hub deployment list lists the deployments."
	case e.Code == codeNoModule:
		return "tunnelctl hub module list DEVICE lists the modules, and tunnelctl hub module add DEVICE/MODULE makes one."
	}
	return "tunnelctl hub device list lists the devices, and tunnelctl hub device add ID makes one."
}
