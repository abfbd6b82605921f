// Package shortage recognises errors of this process's own resources: it has no file
// descriptor, local port or kernel memory left. Such an error says nothing about the peer.
//
// A line belongs here when it concerns how such an error looks.
package shortage

import (
	"errors"
	"net"
	"strings"
	"syscall"
)

// errnos are the errors of an own shortage: of file descriptors of the process and of the
// system, of local ports, of buffers and of memory (socket(2), connect(2)).
var errnos = []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.EADDRNOTAVAIL, syscall.ENOBUFS, syscall.ENOMEM}

// lookupErrnos are the same for a look-up. UDP reports the lack of a local port as EAGAIN.
// For a look-up EADDRNOTAVAIL means a name server's address that this device cannot dial.
var lookupErrnos = []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.EAGAIN, syscall.ENOBUFS, syscall.ENOMEM}

// Is tells whether err means that this process lacks a resource. It also recognises a look-up
// that failed for this reason: a net.DNSError holds the text of its cause, not the cause.
//
// EADDRNOTAVAIL of a dial has two meanings: no local port is free, or this device has no
// address from which it could reach the peer, as a container without IPv6. Is then asks the
// kernel for a source address, and sends nothing.
func Is(err error) bool {
	if lookup, ok := errors.AsType[*net.DNSError](err); ok {
		return endsWith(lookup.Err)
	}
	for _, errno := range errnos {
		if errors.Is(err, errno) {
			return errno != syscall.EADDRNOTAVAIL || !withoutSource(err)
		}
	}
	return false
}

// withoutSource tells whether this device has no source address for the peer of a dial. A UDP
// socket needs one, too, and no TCP port.
func withoutSource(err error) bool {
	failed, ok := errors.AsType[*net.OpError](err)
	if !ok {
		return false
	}
	peer, ok := failed.Addr.(*net.TCPAddr)
	if !ok {
		return false
	}
	conn, err := net.DialUDP("udp", nil, &net.UDPAddr{IP: peer.IP, Port: peer.Port, Zone: peer.Zone})
	if err == nil {
		_ = conn.Close() // nothing was sent
	}
	return errors.Is(err, syscall.EADDRNOTAVAIL)
}

// endsWith tells whether the text of an error ends with the text of one of lookupErrnos.
func endsWith(text string) bool {
	for _, errno := range lookupErrnos {
		if strings.HasSuffix(text, errno.Error()) {
			return true
		}
	}
	return false
}
