package config

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// connectionString is a device's or a module's, as the portal and the CLI give it
// out: HostName=..;DeviceId=..[;ModuleId=..];SharedAccessKey=.. with GatewayHostName
// for the way through a gateway, and x509=true instead of the key for a device that
// has a certificate.
type connectionString struct {
	host, gateway, device, module string
	key                           Secret
	x509                          bool
}

// parseConnectionString reads a connection string, whatever is missing in it. No
// error repeats a part of it but the names that are known.
func parseConnectionString(text string) (connectionString, error) {
	var c connectionString
	var x509 string
	known := map[string]*string{
		"HostName": &c.host, "GatewayHostName": &c.gateway, "DeviceId": &c.device, "ModuleId": &c.module,
		"SharedAccessKey": (*string)(&c.key), "x509": &x509,
	}
	for part := range strings.SplitSeq(text, ";") {
		name, value, pair := strings.Cut(part, "=") // a value may hold =, and a key ends in it
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		field := known[name]
		switch {
		case name == "" && !pair: // after the last semicolon
		case !pair:
			return c, errors.New("a part of it is not name=value")
		case name == "SharedAccessKeyName":
			return c, errors.New("it is a service's (SharedAccessKeyName); take the device's or the module's own")
		case name == "SharedAccessSignature":
			return c, errors.New("a SharedAccessSignature ends and cannot be renewed; give the SharedAccessKey")
		case field == nil: // other parts are for other programs
		case *field != "":
			return c, fmt.Errorf("%s is in it twice", name)
		default:
			*field = value
		}
	}
	c.x509 = strings.EqualFold(x509, "true")
	return c, c.validate()
}

// validate checks the values that are there, and tells all that is wrong at once.
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

// isHostName lets through names and IP addresses, without a port.
func isHostName(s string) bool { return !strings.ContainsFunc(s, notIn(".-_")) }

// isID is IoT Hub's rule for ids ("Understand the identity registry in your IoT
// hub", device identity properties).
func isID(s string) bool { return !strings.ContainsFunc(s, notIn("-.+%_#*?!(),:=@$'")) }

// notIn finds what is neither a letter nor a digit of ASCII nor one of marks.
func notIn(marks string) func(rune) bool {
	return func(r rune) bool {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		return !letter && !strings.ContainsRune(marks, r)
	}
}
