package module

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"strings"
)

// routingTables is the folder of the kernel's routing tables (proc_pid_net(5)).
var routingTables = os.DirFS("/proc/net")

// defaultGateways returns the gateways of the default routes in the tables of a folder. A
// table that does not exist has none: this device has no IPv6, or is not Linux.
func defaultGateways(tables fs.FS) ([]netip.Addr, error) {
	four, err := gatewaysIn(tables, "route", gateway4)
	if err != nil {
		return nil, err
	}
	six, err := gatewaysIn(tables, "ipv6_route", gateway6)
	return append(four, six...), err
}

// gatewaysIn returns what parse finds in the lines of a table.
func gatewaysIn(tables fs.FS, name string, parse func(fields []string) (netip.Addr, bool)) ([]netip.Addr, error) {
	table, err := tables.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the default gateways: %w", err)
	}
	defer func() { _ = table.Close() }() // it was only read
	var gateways []netip.Addr
	lines := bufio.NewScanner(table)
	for lines.Scan() {
		if gateway, ok := parse(strings.Fields(lines.Text())); ok {
			gateways = append(gateways, gateway)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read the default gateways: %w", err)
	}
	return gateways, nil
}

// gateway4 parses a line of /proc/net/route: interface, destination, gateway, flags,
// references, use, metric, mask and more. Addresses are numbers in the byte order of this
// machine. A default route without a gateway has the gateway 0.
func gateway4(fields []string) (netip.Addr, bool) {
	const none = "00000000"
	if len(fields) < 8 || fields[1] != none || fields[7] != none || fields[2] == none {
		return netip.Addr{}, false
	}
	number, err := hex.DecodeString(fields[2])
	if err != nil || len(number) != 4 {
		return netip.Addr{}, false
	}
	var address [4]byte
	binary.NativeEndian.PutUint32(address[:], binary.BigEndian.Uint32(number))
	return netip.AddrFrom4(address), true
}

// gateway6 parses a line of /proc/net/ipv6_route: destination, length of its prefix, source,
// length of its prefix, gateway and more. Addresses are in network order. A default route
// without a gateway has the gateway ::.
func gateway6(fields []string) (netip.Addr, bool) {
	none := strings.Repeat("0", 32)
	if len(fields) < 5 || fields[0] != none || fields[1] != "00" || fields[4] == none {
		return netip.Addr{}, false
	}
	address, err := hex.DecodeString(fields[4])
	if err != nil {
		return netip.Addr{}, false
	}
	return netip.AddrFromSlice(address)
}
