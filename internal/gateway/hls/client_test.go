package hls_test

import (
	"testing"

	"github.com/bluenviron/gohlslib/v2"

	"rtsptunnel/internal/gateway/viewer"
)

// gohlslib's own client reads the playlists that we compose of its muxer's. It knows no FLAC.
func TestClient(t *testing.T) {
	c := newCamera(t)
	s := newSite(t, c, viewer.Limits{})
	session, _ := s.start(t, c)
	pictures, done := make(chan struct{}, 1<<10), make(chan reply, 1)
	client := &gohlslib.Client{URI: s.URL + "/edge1/front/index.m3u8", HTTPClient: s.Client(), OnDownloadPrimaryPlaylist: func(string) {}}
	client.OnDownloadStreamPlaylist, client.OnDownloadSegment, client.OnDownloadPart = func(string) {}, func(string) {}, func(string) {}
	client.OnTracks = func(tracks []*gohlslib.Track) error {
		client.OnDataH26x(tracks[0], func(int64, int64, [][]byte) { pictures <- struct{}{} })
		return nil
	}
	if err := client.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = client.Wait2() // with an error, pictures are missing
	}()
	go func() {
		defer close(done)
		for range 30 {
			select {
			case <-pictures:
			case <-ended:
				t.Error("the client ended before it had 30 pictures")
				return
			}
		}
	}()
	session.playUntil(done)
	client.Close()
	<-ended
}
