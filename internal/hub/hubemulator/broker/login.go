package broker

import (
	"errors"
	"fmt"
	"strings"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"rtsptunnel/internal/hub/hubemulator/sas"
	"rtsptunnel/internal/hub/hubemulator/store"
)

// Reasons to refuse a login, besides the errors of packages sas and store.
var (
	errProtocol = errors.New("not MQTT 3.1.1")
	errHost     = errors.New("user name is for another hub")
	errClientID = errors.New("client id is not the user name's device or device/module")
)

// login is the result of a successful CONNECT.
type login struct {
	user userName
	// expires is the expiry of the token; zero means never, for certificates.
	expires time.Time
}

// login authenticates a CONNECT, and logs the result. It stores the model id of the
// client.
func (b *Broker) login(client *mqtt.Client, pk packets.Packet) bool {
	l, err := b.authenticate(client, pk)
	log := b.log.With().Str(fieldIdentity, truncate(client.ID)).Str(fieldRemote, client.Net.Remote).Logger()
	if err != nil {
		log.Warn().Err(err).Msg("login refused")
		return false
	}
	log.Info().Str(fieldModel, truncate(l.user.modelID)).Msg(messageLoggedIn)
	return true
}

func (b *Broker) authenticate(client *mqtt.Client, pk packets.Packet) (login, error) {
	if client.Properties.ProtocolVersion != protocolVersion {
		return login{}, errProtocol
	}
	user, err := parseUserName(string(pk.Connect.Username))
	if err != nil {
		return login{}, err
	}
	if !sas.Covers(user.host, b.hostName) {
		return login{}, fmt.Errorf("%w: %.300q", errHost, user.host)
	}
	if !user.matches(client.ID) {
		return login{}, fmt.Errorf("%w: %.300q", errClientID, user.identity)
	}
	identity, err := b.store.Enabled(identityOf(client))
	if err != nil {
		return login{}, err
	}
	expires, err := b.verifyCredentials(client.Net.Conn, string(pk.Connect.Password), identity)
	if err != nil {
		return login{}, err
	}
	if b.faults.LoginRefused(identity.ID.String()) {
		return login{}, errInjected
	}
	return login{user: user, expires: expires}, b.store.SetModelID(identity.ID, user.modelID)
}

// verifyToken verifies the token of an identity and returns its expiry. The token may be
// for either name of the hub, as with edge hub (Azure/iotedge,
// DeviceScopeTokenAuthenticator).
func (b *Broker) verifyToken(password string, identity store.Identity) (expires time.Time, err error) {
	token, err := sas.Parse(password)
	if err != nil {
		return time.Time{}, err
	}
	host := b.hostName
	if b.gatewayName != "" && sas.Covers(token.Resource, b.gatewayName+"/"+identity.ID.Path()) {
		host = b.gatewayName
	}
	err = token.Verify(time.Now(), host+"/"+identity.ID.Path(), identity.PrimaryKey, identity.SecondaryKey)
	return token.Expiry, err
}

// identityOf returns the identity in the client id of a client. It is authenticated only
// after a successful login.
func identityOf(client *mqtt.Client) store.ID {
	device, module, _ := strings.Cut(client.ID, "/")
	return store.ID{Device: device, Module: module}
}
