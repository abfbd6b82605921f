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
func Is(err error) bool {
	if lookup, ok := errors.AsType[*net.DNSError](err); ok {
		return endsWith(lookup.Err)
	}
	for _, errno := range errnos {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
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
