package hubconn

import (
	"crypto/tls"
	"errors"
	"time"

	"github.com/amenzhinsky/iothub/common"
	"github.com/amenzhinsky/iothub/iotdevice/transport"
)

// libraryIdentity is the library's view of an identity: the names of which it makes client
// id and topics. The library does not authenticate; see configure.
type libraryIdentity struct{ id Identity }

var _ transport.Credentials = libraryIdentity{}

func (l libraryIdentity) GetDeviceID() string { return l.id.DeviceID }
func (l libraryIdentity) GetModuleID() string { return l.id.ModuleID }
func (l libraryIdentity) GetHostName() string { return l.id.HubHost }
func (l libraryIdentity) GetBroker() string   { return l.id.server() }

// UseEdgeGateway is false also if the peer is the edge hub. True would make the library
// ask the workload API for the trust bundle and, if that fails, connect without
// verification.
func (l libraryIdentity) UseEdgeGateway() bool { return false }

var errNotUsed = errors.New("hubconn makes all credentials")

// Token is never called: configure replaces its caller.
func (l libraryIdentity) Token(string, time.Duration) (*common.SharedAccessSignature, error) {
	return nil, errNotUsed
}

// TokenFromEdge is never called: UseEdgeGateway is false.
func (l libraryIdentity) TokenFromEdge(_, _, _, _ string, _ time.Duration) (*common.SharedAccessSignature, error) {
	return nil, errNotUsed
}

func (l libraryIdentity) GetCertificate() *tls.Certificate { return nil }
func (l libraryIdentity) GetSAK() string                   { return "" }
func (l libraryIdentity) GetGateway() string               { return "" }
func (l libraryIdentity) GetGenerationID() string          { return "" }
func (l libraryIdentity) GetWorkloadURI() string           { return "" }
