package rtspout_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v5"
	"github.com/bluenviron/gortsplib/v5/pkg/base"
	"github.com/bluenviron/gortsplib/v5/pkg/description"
	"github.com/bluenviron/gortsplib/v5/pkg/format"
	"github.com/gorilla/websocket"
	"github.com/pion/rtp"
	"github.com/rs/zerolog"

	"rtsptunnel/internal/base/wsstream"
	"rtsptunnel/internal/gateway/access"
	"rtsptunnel/internal/gateway/live"
	"rtsptunnel/internal/gateway/media"
	"rtsptunnel/internal/gateway/rtspout"
	"rtsptunnel/internal/gateway/rtspws"
	"rtsptunnel/internal/gateway/stream"
	"rtsptunnel/internal/gateway/viewer"
)

// BenchmarkFanOut sends pictures of a camera with 4 Mbit/s to 20 and 100 readers, first with
// this package over TCP and over WebSockets, then with gortsplib's ServerStream. The readers
// are in another process. It reports the CPU time of this process per picture, and the ratio
// to gortsplib, and of WebSockets to TCP; ns/op has no meaning.
//
//	go test -run - -bench FanOut -benchtime 150x ./internal/gateway/rtspout
func BenchmarkFanOut(b *testing.B) {
	for _, readers := range []int{20, 100} {
		b.Run(strconv.Itoa(readers), func(b *testing.B) {
			ours := benchOurs(b, readers, false)
			sockets := benchOurs(b, readers, true)
			theirs := benchTheirs(b, readers)
			b.ReportMetric(float64(ours.Microseconds())/float64(b.N), "us-ours")
			b.ReportMetric(float64(theirs.Microseconds())/float64(b.N), "us-gortsplib")
			b.ReportMetric(float64(sockets.Microseconds())/float64(b.N), "us-websocket")
			b.ReportMetric(float64(ours)/float64(theirs), "ratio")
			b.ReportMetric(float64(sockets)/float64(ours), "ratio-websocket")
		})
	}
}

const (
	benchPeriod  = 40 * time.Millisecond
	benchPackets = 14
	benchPayload = 1400 // 14 * 1400 bytes * 25 = 3.9 Mbit/s
)

// benchPicture returns the packets of a picture, and their bytes.
func benchPicture() (packets []*rtp.Packet, raw [][]byte) {
	for i := range benchPackets {
		payload := make([]byte, benchPayload)
		payload[0] = 0x41
		p := &rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: 96, Marker: i == benchPackets-1}, Payload: payload}
		b, _ := p.Marshal()
		packets, raw = append(packets, p), append(raw, b)
	}
	return packets, raw
}

// pace calls send for n pictures, 40 ms apart, and returns the CPU time of that.
func pace(n int, send func(i int)) time.Duration {
	tick := time.NewTicker(benchPeriod)
	defer tick.Stop()
	before := cpuTime()
	for i := range n {
		<-tick.C
		send(i)
	}
	<-tick.C
	return cpuTime() - before
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func benchOurs(b *testing.B, readers int, overSockets bool) time.Duration {
	b.Helper()
	e := &media.Epoch{Begin: time.Now(), Tracks: []media.Track{{Codec: media.H264, ClockRate: 90000, RTPMap: "H264/90000"}}}
	_, raw := benchPicture()
	unit := func(n int) *media.Unit {
		return &media.Unit{Epoch: e, PTS: int64(n) * 3600, DTS: int64(n) * 3600, Key: n%100 == 0, Packets: raw}
	}
	f := newFeed(b, e)
	f.put(unit(0))
	f.keep(b)
	s, err := rtspout.New(rtspout.Options{
		Find:      func(context.Context, string) (*stream.Stream, error) { return f.Stream, nil },
		Authorize: authorize, Log: zerolog.Nop(),
	})
	if err != nil {
		b.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(ln) }()
	defer func() {
		s.Shutdown(context.Background())
		if err := <-done; err != nil {
			b.Error(err)
		}
	}()
	target := ln.Addr().String()
	if overSockets {
		out := rtspws.New(rtspws.Options{RTSP: s, Viewers: viewer.New(viewer.Limits{}), Current: func(p access.Principal) (access.Principal, error) { return p, nil }})
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			out.ServeLive(w, r, live.Request{Camera: "edge1/front", Stream: "main", Principal: viewing, From: netip.IPv6Loopback()})
		}))
		defer srv.Close()
		target = "ws" + strings.TrimPrefix(srv.URL, "http")
	}
	defer startDrain(b, target, readers)()
	await(b, func() bool { return len(s.Viewers()) == readers })
	f.put(unit(100)) // they begin at a key frame
	return pace(b.N, func(i int) { f.put(unit(101 + i)) })
}

func benchTheirs(b *testing.B, readers int) time.Duration {
	b.Helper()
	h264 := &format.H264{PayloadTyp: 96, PacketizationMode: 1}
	video := &description.Media{Type: description.MediaTypeVideo, Formats: []format.Format{h264}}
	h := &fanOut{}
	s := &gortsplib.Server{RTSPAddress: "127.0.0.1:0", Handler: h}
	if err := s.Start(); err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	h.stream = &gortsplib.ServerStream{Server: s, Desc: &description.Session{Medias: []*description.Media{video}}}
	if err := h.stream.Initialize(); err != nil {
		b.Fatal(err)
	}
	defer h.stream.Close()
	defer startDrain(b, s.NetListener().Addr().String(), readers)()
	packets, _ := benchPicture()
	return pace(b.N, func(i int) {
		for j, p := range packets {
			p.SequenceNumber, p.Timestamp = uint16(i*benchPackets+j), uint32(i*3600)
			_ = h.stream.WritePacketRTP(video, p)
		}
	})
}

// fanOut is gortsplib's handler for one stream.
type fanOut struct{ stream *gortsplib.ServerStream }

func (h *fanOut) OnDescribe(*gortsplib.ServerHandlerOnDescribeCtx) (*base.Response, *gortsplib.ServerStream, error) {
	return &base.Response{StatusCode: base.StatusOK}, h.stream, nil
}

func (h *fanOut) OnSetup(*gortsplib.ServerHandlerOnSetupCtx) (*base.Response, *gortsplib.ServerStream, error) {
	return &base.Response{StatusCode: base.StatusOK}, h.stream, nil
}

func (h *fanOut) OnPlay(*gortsplib.ServerHandlerOnPlayCtx) (*base.Response, error) {
	return &base.Response{StatusCode: base.StatusOK}, nil
}

// drainVariable makes the test's program a process of readers: "address,readers".
const drainVariable = "RTSPOUT_DRAIN"

// startDrain starts readers in a process, and returns when all play. The caller calls stop.
func startDrain(b *testing.B, address string, readers int) (stop func()) {
	b.Helper()
	cmd := exec.CommandContext(b.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s,%d", drainVariable, address, readers))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "ready\n" {
		b.Fatalf("readers: %q, %v", line, err)
	}
	return func() {
		in.Close()
		_ = cmd.Wait()
	}
}

// drain reads until standard input ends.
func drain(target string) {
	address, number, _ := strings.Cut(target, ",")
	readers, _ := strconv.Atoi(number)
	var wg sync.WaitGroup
	var conns []net.Conn
	for range readers {
		c, err := dialDrain(address)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		conns = append(conns, c)
		wg.Go(func() { _, _ = io.CopyBuffer(io.Discard, struct{ io.Reader }{c}, make([]byte, 64<<10)) })
	}
	fmt.Println("ready")
	_, _ = io.Copy(io.Discard, os.Stdin)
	for _, c := range conns {
		c.Close()
	}
	wg.Wait()
}

// dialTarget opens TCP to an address, or a WebSocket at a URL.
func dialTarget(target string) (net.Conn, error) {
	if !strings.HasPrefix(target, "ws:") {
		return net.Dial("tcp", target)
	}
	ws, answer, err := websocket.DefaultDialer.Dial(target, nil)
	if err != nil {
		return nil, err
	}
	answer.Body.Close()
	return wsstream.New(ws, wsstream.Options{CloseTimeout: time.Second}), nil
}

// dialDrain returns a connection that plays.
func dialDrain(address string) (net.Conn, error) {
	c, err := dialTarget(address)
	if err != nil {
		return nil, err
	}
	r := bufio.NewReaderSize(c, 512)
	session := ""
	for i, request := range []string{
		"DESCRIBE rtsp://h/edge1/front?token=rtt_wall RTSP/1.0\r\n",
		"SETUP rtsp://h/edge1/front/trackID=0 RTSP/1.0\r\n" + transport + "\r\n",
		"PLAY rtsp://h/edge1/front/ RTSP/1.0\r\n",
	} {
		if session != "" {
			request += "Session: " + session + "\r\n"
		}
		if _, err := fmt.Fprintf(c, "%sCSeq: %d\r\n\r\n", request, i+1); err != nil {
			return nil, err
		}
		var res base.Response
		if err := res.Unmarshal(r); err != nil || res.StatusCode != base.StatusOK {
			return nil, fmt.Errorf("%s: %v, %w", request, res.StatusCode, err)
		}
		if h := res.Header["Session"]; len(h) == 1 {
			session, _, _ = strings.Cut(h[0], ";")
		}
	}
	return c, nil
}
