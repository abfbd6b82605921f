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

// Advice says what to do about an error of hubclient, in a line of its own; empty if
// nobody knows.
func Advice(err error) string {
	text := adviceOnWay(err)
	if e, ok := errors.AsType[*hubclient.Error](err); ok {
		text = adviceOnAnswer(e)
	}
	if text == "" {
		return ""
	}
	return text + "\n"
}

// adviceOnWay is for hubs that were not reached.
func adviceOnWay(err error) string {
	_, unknownCA := errors.AsType[x509.UnknownAuthorityError](err)
	_, otherName := errors.AsType[x509.HostnameError](err)
	_, noTLS := errors.AsType[tls.RecordHeaderError](err)
	_, noName := errors.AsType[*net.DNSError](err)
	late, isNet := errors.AsType[net.Error](err)
	switch {
	case unknownCA:
		return "An emulator's certificate is signed by its own authority: name the ca.pem in its state directory by --ca-file, HUB_CA_FILE or CA_FILE."
	case otherName:
		return "The certificate is for another name than HostName in the connection string; an emulator's has localhost and what serve --hostname says."
	case noTLS || errors.Is(err, http.ErrSchemeMismatch):
		return "What listens there does not speak TLS: is it the hub's HTTPS port?"
	case noName:
		return "Check HostName in the connection string, and this machine's DNS."
	case errors.Is(err, syscall.ECONNREFUSED):
		return "Nobody listens there: does hubemulator serve run, with that address as its --https?"
	case isNet && late.Timeout(): // of a connection, of TLS, of the whole
		return "No answer in time: check the network, and HTTPS_PROXY if there is a proxy."
	}
	return ""
}

// Six-digit codes that say more than the HTTP status does ("Understand and resolve
// Azure IoT Hub errors").
const (
	numberOffline = 404103
	codeOffline   = "DeviceNotOnline"
	codeNoModule  = "ModuleNotFound"

	codeNoConfiguration     = "ConfigurationNotFound"
	codeConfigurationExists = "ConfigurationAlreadyExists"
)

// adviceOnAnswer is for what a hub refused.
func adviceOnAnswer(e *hubclient.Error) string {
	switch e.Status {
	case http.StatusUnauthorized:
		return "Check the connection string (HostName, SharedAccessKeyName, SharedAccessKey; is it this hub's?) and this machine's clock."
	case http.StatusForbidden:
		return "The policy in the connection string may not do this, or the hub's quota is used up."
	case http.StatusNotFound:
		return adviceOnMissing(e)
	case http.StatusConflict:
		if e.Code == codeConfigurationExists {
			return "Somebody has made one of that id meanwhile: try again."
		}
		return "It exists already: tunnelctl hub device show, or module show, shows it."
	case http.StatusPreconditionFailed:
		return "Somebody has changed it meanwhile: read it again, and give its new etag."
	case http.StatusTooManyRequests:
		return "The hub is throttling: wait a little and try again."
	case http.StatusGatewayTimeout:
		return "It is connected and did not answer: does it know this method? Give it longer by --timeout."
	case http.StatusInternalServerError, http.StatusServiceUnavailable:
		return "That is the hub's own trouble: try again."
	}
	return ""
}

func adviceOnMissing(e *hubclient.Error) string {
	switch {
	case e.Number == numberOffline || strings.HasPrefix(e.Code, codeOffline):
		return "It is offline, or has not asked for methods: start it, or wait longer for it by --connect-timeout."
	case e.Code == codeNoConfiguration:
		return "See which there are by tunnelctl hub deployment list."
	case e.Code == codeNoModule:
		return "See which there are by tunnelctl hub module list DEVICE; make it by tunnelctl hub module add DEVICE/MODULE."
	}
	return "See which devices there are by tunnelctl hub device list; make it by tunnelctl hub device add ID."
}
