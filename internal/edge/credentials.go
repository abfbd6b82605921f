package edge

import (
	"crypto/tls"
	"errors"
	"time"

	"github.com/amenzhinsky/iothub/common"
	"github.com/amenzhinsky/iothub/iotdevice/transport"
)

// credentials are the library's view of one session's identity, with a token that
// was signed before the session began: the library would answer a failed signature
// by an anonymous CONNECT.
type credentials struct {
	id    Identity
	token *common.SharedAccessSignature
}

var _ transport.Credentials = (*credentials)(nil)

func (c *credentials) GetDeviceID() string     { return c.id.DeviceID }
func (c *credentials) GetModuleID() string     { return c.id.ModuleID }
func (c *credentials) GetHostName() string     { return c.id.HubHost }
func (c *credentials) GetGenerationID() string { return c.id.GenerationID }
func (c *credentials) GetBroker() string       { return c.id.GatewayHost }

// UseEdgeGateway is false although the peer is the edge hub: true would make the
// library ask the workload API for the trust bundle itself and, if that fails,
// connect without verification.
func (c *credentials) UseEdgeGateway() bool { return false }

// Token ignores the resource, which the library escapes once too often.
func (c *credentials) Token(string, time.Duration) (*common.SharedAccessSignature, error) {
	return c.token, nil
}

// TokenFromEdge is never called: UseEdgeGateway is false.
func (c *credentials) TokenFromEdge(_, _, _, _ string, _ time.Duration) (*common.SharedAccessSignature, error) {
	return nil, errors.New("the workload API is edge's own business")
}

func (c *credentials) GetCertificate() *tls.Certificate { return nil }
func (c *credentials) GetSAK() string                   { return "" }
func (c *credentials) GetGateway() string               { return "" }
func (c *credentials) GetWorkloadURI() string           { return "" }
