package config

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// connectionString is the connection string of a device or a module, as the portal and
// the CLI print it: HostName=..;DeviceId=..[;ModuleId=..];SharedAccessKey=.. It may name
// a gateway in GatewayHostName. A device with a certificate has x509=true instead of the
// key.
type connectionString struct {
	host, gateway, device, module string
	key                           Secret
	x509                          bool
}

// parseConnectionString reads a connection string and accepts missing parts. Errors
// repeat the known names, and no other part of the text.
func parseConnectionString(text string) (connectionString, error) {
	var c connectionString
	var x509 string
	known := map[string]*string{
		"HostName": &c.host, "GatewayHostName": &c.gateway, "DeviceId": &c.device, "ModuleId": &c.module,
		"SharedAccessKey": (*string)(&c.key), "x509": &x509,
	}
	for part := range strings.SplitSeq(text, ";") {
		name, value, pair := strings.Cut(part, "=") // a value may contain =, as padded keys do
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		field := known[name]
		switch {
		case name == "" && !pair: // after the last semicolon
		case !pair:
			return c, errors.New("a part of it is not name=value")
		case name == "SharedAccessKeyName":
			return c, errors.New("it is a service connection string (SharedAccessKeyName); use the device's or module's own")
		case name == "SharedAccessSignature":
			return c, errors.New("a SharedAccessSignature expires and cannot be renewed; use a SharedAccessKey")
		case field == nil: // other parts are for other programs
		case *field != "":
			return c, fmt.Errorf("%s appears twice", name)
		default:
			*field = value
		}
	}
	c.x509 = strings.EqualFold(x509, "true")
	return c, c.validate()
}

// validate checks the values that are present. Its error lists all invalid ones.
func (c connectionString) validate() error {
	var wrong []string
	for _, v := range []struct{ name, value string }{{"HostName", c.host}, {"GatewayHostName", c.gateway}} {
		if v.value != "" && !isHostName(v.value) {
			wrong = append(wrong, v.name+" is not a host name")
		}
	}
	for _, v := range []struct{ name, value string }{{"DeviceId", c.device}, {"ModuleId", c.module}} {
		if v.value != "" && !isID(v.value) {
			wrong = append(wrong, v.name+" has a character that IoT Hub does not allow in ids")
		}
	}
	if len(c.key) > 0 {
		if _, err := base64.StdEncoding.DecodeString(string(c.key)); err != nil {
			wrong = append(wrong, "SharedAccessKey is not base64")
		}
	}
	if len(wrong) > 0 {
		return errors.New(strings.Join(wrong, ", "))
	}
	return nil
}

// isHostName accepts names and IP addresses without a port.
func isHostName(s string) bool { return !strings.ContainsFunc(s, notIn(".-_")) }

// isID is IoT Hub's rule for ids ("Understand the identity registry in your IoT
// hub", device identity properties).
func isID(s string) bool { return !strings.ContainsFunc(s, notIn("-.+%_#*?!(),:=@$'")) }

// notIn reports characters other than ASCII letters, ASCII digits and marks.
func notIn(marks string) func(rune) bool {
	return func(r rune) bool {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		return !letter && !strings.ContainsRune(marks, r)
	}
}
