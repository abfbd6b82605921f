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

// Why a login is refused, besides what packages sas and store say.
var (
	errProtocol = errors.New("not MQTT 3.1.1")
	errHost     = errors.New("user name is for another hub")
	errClientID = errors.New("client id is not the user name's device or device/module")
)

// login is what a CONNECT has proved.
type login struct {
	user userName
	// expires is when it ends to hold; zero is never: a certificate is no token.
	expires time.Time
}

// login reports whether a CONNECT is from an identity of this hub, and logs
// why not. It keeps the model id on the identity.
func (b *Broker) login(client *mqtt.Client, pk packets.Packet) bool {
	l, err := b.authenticate(client, pk)
	log := b.log.With().Str(fieldIdentity, shown(client.ID)).Str(fieldRemote, client.Net.Remote).Logger()
	if err != nil {
		log.Warn().Err(err).Msg("login refused")
		return false
	}
	log.Info().Str(fieldModel, shown(l.user.modelID)).Msg("client logged in")
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
	if !user.names(client.ID) {
		return login{}, fmt.Errorf("%w: %.300q", errClientID, user.identity)
	}
	identity, err := b.store.Enabled(identityOf(client))
	if err != nil {
		return login{}, err
	}
	expires, err := b.prove(client.Net.Conn, string(pk.Connect.Password), identity)
	if err != nil {
		return login{}, err
	}
	if b.faults.LoginRefused(identity.ID.String()) {
		return login{}, errOnDemand
	}
	return login{user: user, expires: expires}, b.store.SetModelID(identity.ID, user.modelID)
}

// verify judges the token of an identity and returns when it expires. Both of
// the hub's names will do as the token's host, as edge hub has it
// (Azure/iotedge, DeviceScopeTokenAuthenticator).
func (b *Broker) verify(password string, identity store.Identity) (expires time.Time, err error) {
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

// identityOf returns the identity a client claims by its client id, which a
// successful login has proved.
func identityOf(client *mqtt.Client) store.ID {
	device, module, _ := strings.Cut(client.ID, "/")
	return store.ID{Device: device, Module: module}
}
