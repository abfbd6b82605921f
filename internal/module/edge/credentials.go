package edge

import (
	"crypto/tls"
	"errors"
	"time"

	"github.com/amenzhinsky/iothub/common"
	"github.com/amenzhinsky/iothub/iotdevice/transport"
)

// credentials are the library's view of an identity: its names, of which the library
// makes client id and topics. How it logs in is none of the library's business; see
// configure.
type credentials struct{ id Identity }

var _ transport.Credentials = credentials{}

func (c credentials) GetDeviceID() string { return c.id.DeviceID }
func (c credentials) GetModuleID() string { return c.id.ModuleID }
func (c credentials) GetHostName() string { return c.id.HubHost }
func (c credentials) GetBroker() string   { return c.id.server() }

// UseEdgeGateway is false although the peer may be the edge hub: true would make the
// library ask the workload API for the trust bundle itself and, if that fails,
// connect without verification.
func (c credentials) UseEdgeGateway() bool { return false }

var errNotAsked = errors.New("logins are edge's own business")

// Token is never called: configure replaces who would call it.
func (c credentials) Token(string, time.Duration) (*common.SharedAccessSignature, error) {
	return nil, errNotAsked
}

// TokenFromEdge is never called: UseEdgeGateway is false.
func (c credentials) TokenFromEdge(_, _, _, _ string, _ time.Duration) (*common.SharedAccessSignature, error) {
	return nil, errNotAsked
}

func (c credentials) GetCertificate() *tls.Certificate { return nil }
func (c credentials) GetSAK() string                   { return "" }
func (c credentials) GetGateway() string               { return "" }
func (c credentials) GetGenerationID() string          { return "" }
func (c credentials) GetWorkloadURI() string           { return "" }
