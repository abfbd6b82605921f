// Package fanout is what the gateway's RTSP output is compared with: gortsplib's own fan-out,
// as its example client-republish has it. It pulls one camera and hands each packet to
// gortsplib's server stream, which queues and writes it for each reader.
package fanout

import (
	"errors"
	"fmt"
	"io"

	"github.com/bluenviron/gortsplib/v5"
	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/bluenviron/gortsplib/v5/pkg/description"
	"github.com/bluenviron/gortsplib/v5/pkg/format"
	"github.com/pion/rtp"
)

// Command is the first argument that makes the bench's program this server.
const Command = "fanout"

// Main serves the camera at the URL that is the only argument, at every path of a free port
// of loopback. It writes the address to stdout, and ends when stdin does.
func Main(args []string, stdin io.Reader, stdout io.Writer) error {
	if len(args) != 1 {
		return errors.New("want URL")
	}
	u, err := base.ParseURL(args[0])
	if err != nil {
		return err
	}
	h := &handler{}
	server := &gortsplib.Server{Handler: h, RTSPAddress: "127.0.0.1:0", WriteQueueSize: 1024}
	if err := server.Start(); err != nil {
		return err
	}
	defer server.Close()
	tcp := gortsplib.ProtocolTCP
	client := &gortsplib.Client{Scheme: u.Scheme, Host: u.Host, Protocol: &tcp}
	if err := client.Start(); err != nil {
		return err
	}
	defer client.Close()
	if err := h.play(client, server, u); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(stdout, server.NetListener().Addr()); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, stdin)
	return err
}

// handler gives every reader the one stream.
type handler struct{ stream *gortsplib.ServerStream }

// play pulls the camera into the stream. The server has no reader before Main has written
// its address.
func (h *handler) play(client *gortsplib.Client, server *gortsplib.Server, u *base.URL) error {
	desc, _, err := client.Describe(u)
	if err != nil {
		return err
	}
	h.stream = &gortsplib.ServerStream{Server: server, Desc: desc}
	if err := h.stream.Initialize(); err != nil {
		return err
	}
	if err := client.SetupAll(desc.BaseURL, desc.Medias); err != nil {
		return err
	}
	client.OnPacketRTPAny(func(media *description.Media, _ format.Format, packet *rtp.Packet) {
		_ = h.stream.WritePacketRTP(media, packet) // fails after the stream's end alone
	})
	_, err = client.Play(nil)
	return err
}

// OnDescribe implements gortsplib.ServerHandlerOnDescribe.
func (h *handler) OnDescribe(*gortsplib.ServerHandlerOnDescribeCtx) (*base.Response, *gortsplib.ServerStream, error) {
	return &base.Response{StatusCode: base.StatusOK}, h.stream, nil
}

// OnSetup implements gortsplib.ServerHandlerOnSetup.
func (h *handler) OnSetup(*gortsplib.ServerHandlerOnSetupCtx) (*base.Response, *gortsplib.ServerStream, error) {
	return &base.Response{StatusCode: base.StatusOK}, h.stream, nil
}

// OnPlay implements gortsplib.ServerHandlerOnPlay.
func (h *handler) OnPlay(*gortsplib.ServerHandlerOnPlayCtx) (*base.Response, error) {
	return &base.Response{StatusCode: base.StatusOK}, nil
}
