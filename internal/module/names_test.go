package module_test

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"slices"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// resolve replaces this process's resolver, until the test ends. The name server, over
// TCP, has these addresses, and does not respond for the silent names. Names end with a
// dot. Parallel tests must not use it.
func resolve(t *testing.T, addresses map[string][4]byte, silent ...string) {
	t.Helper()
	before := net.DefaultResolver
	t.Cleanup(func() { net.DefaultResolver = before })
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		client, server := net.Pipe()
		context.AfterFunc(ctx, func() { server.Close() }) // else the resolver waits for its own timeout
		go func() {
			defer server.Close()
			for {
				if err := answer(server, addresses, silent); err != nil {
					return
				}
			}
		}()
		return client, nil
	}}
}

// answer answers one query. The length precedes each message.
func answer(conn net.Conn, addresses map[string][4]byte, silent []string) error {
	var size [2]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		return err
	}
	query := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(conn, query); err != nil {
		return err
	}
	var m dnsmessage.Message
	if err := m.Unpack(query); err != nil {
		return err
	}
	q := m.Questions[0]
	address, known := addresses[q.Name.String()]
	if slices.Contains(silent, q.Name.String()) {
		return nil
	}
	m.Header, m.Additionals = dnsmessage.Header{ID: m.ID, Response: true, RecursionDesired: true, RecursionAvailable: true}, nil
	switch {
	case !known:
		m.RCode = dnsmessage.RCodeNameError
	case q.Type == dnsmessage.TypeA:
		m.Answers = []dnsmessage.Resource{{Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class}, Body: &dnsmessage.AResource{A: address}}}
	}
	packed, err := m.AppendPack(make([]byte, 2))
	if err != nil {
		return err
	}
	binary.BigEndian.PutUint16(packed, uint16(len(packed)-2))
	_, err = conn.Write(packed)
	return err
}
