package outbound

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"syscall"
)

// special are the IPv4 ranges of the IANA special-purpose address registry and
// multicast: nothing on the public internet. Options.Networks may open parts.
var special = prefixes("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16",
	"172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24",
	"192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4")

// special6 are the IPv6 ranges within global unicast that are not public.
// Outside of global unicast, nothing is.
var (
	globalUnicast = netip.MustParsePrefix("2000::/3")
	special6      = prefixes("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20")
)

// never are ranges that Options.Networks cannot open: what has no business in a
// request (unspecified, multicast, broadcast), link-local addresses, where
// metadata services live, and those that hold an IPv4 address for some gateway
// to unpack: local NAT64, 6to4, Teredo and IPv4-compatible ones.
var never = prefixes("0.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "255.255.255.255/32",
	"::/96", "64:ff9b::/96", "64:ff9b:1::/48", "2001::/32", "2002::/16", "fe80::/10", "fec0::/10", "ff00::/8")

// metadata are the services that hand a machine's credentials to whoever asks
// from it, where they are not link-local: Azure, Alibaba, Oracle, AWS, Google,
// Oracle, Scaleway.
var metadata = addresses("168.63.129.16", "100.100.100.200", "192.0.0.192",
	"fd00:ec2::254", "fd20:ce::254", "fd00:c1::a9fe:a9fe", "fd00:42::42")

var (
	loopback6 = netip.IPv6Loopback()
	// nat64 leads to the IPv4 address in its last 32 bits (RFC 6052).
	nat64 = netip.MustParsePrefix("64:ff9b::/96")
)

// refusedAddress is why a connection was not made.
type refusedAddress struct{ addr netip.Addr }

func (e *refusedAddress) Error() string {
	return fmt.Sprintf("address %s is not public, and not in Options.Networks", e.addr)
}

// networks are the ranges that are not public and may still be dialled.
type networks []netip.Prefix

// newNetworks refuses what would open more than it says.
func newNetworks(ps []netip.Prefix) (networks, error) {
	for _, p := range ps {
		switch {
		case !p.IsValid() || p != p.Masked() || p.Addr().Is4In6():
			return nil, fmt.Errorf("Options.Networks: %s is not a network, such as 10.20.0.0/16", p)
		case !nonPublic(p):
			return nil, fmt.Errorf("Options.Networks: %s holds public addresses, which need no exception", p)
		case slices.ContainsFunc(never, covers(p)) && p.Addr() != loopback6:
			return nil, fmt.Errorf("Options.Networks: %s is never dialled", p)
		}
	}
	return slices.Clone(ps), nil
}

// nonPublic reports whether p lies in one range that is not public.
func nonPublic(p netip.Prefix) bool {
	if p.Addr().Is4() {
		return slices.ContainsFunc(special, covers(p))
	}
	return slices.ContainsFunc(special6, covers(p)) || !p.Overlaps(globalUnicast)
}

// covers returns whether a prefix holds all of p.
func covers(p netip.Prefix) func(netip.Prefix) bool {
	return func(q netip.Prefix) bool { return q.Bits() <= p.Bits() && q.Contains(p.Addr()) }
}

// check decides about the very address that a connection is about to be made
// to, so that it does not matter what the name resolved to before.
func (ns networks) check(a netip.Addr) error {
	real := a.Unmap()
	if nat64.Contains(real) {
		// A gateway of the network unpacks it, to a machine that Networks does
		// not speak of.
		b := real.As16()
		if v4 := netip.AddrFrom4([4]byte(b[12:])); public(v4) {
			return nil
		}
		return &refusedAddress{a}
	}
	if public(real) || ns.open(real) { // with a zone, it is in no prefix
		return nil
	}
	return &refusedAddress{a}
}

// open reports whether a is listed, and nothing that stays refused.
func (ns networks) open(a netip.Addr) bool {
	if slices.Contains(metadata, a) || isatap(a) || contains(never, a) && a != loopback6 {
		return false
	}
	return contains(ns, a)
}

// public reports whether a is a unicast address of the public internet.
func public(a netip.Addr) bool {
	if slices.Contains(metadata, a) {
		return false
	}
	if a.Is4() {
		return !contains(special, a)
	}
	return globalUnicast.Contains(a) && !contains(special6, a) && !isatap(a)
}

// isatap reports whether the interface identifier holds an IPv4 address
// (RFC 5214, 6.1).
func isatap(a netip.Addr) bool {
	b := a.As16()
	return a.Is6() && b[8]&^2 == 0 && b[9] == 0 && b[10] == 0x5e && b[11] == 0xfe
}

func contains(ps []netip.Prefix, a netip.Addr) bool {
	return slices.ContainsFunc(ps, func(p netip.Prefix) bool { return p.Contains(a) })
}

// control is net.Dialer.ControlContext: it runs for every address that is
// tried, after names are resolved and before anything is sent.
func (ns networks) control(_ context.Context, network, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil || network != "tcp4" && network != "tcp6" {
		return errors.New("not a TCP address")
	}
	return ns.check(ap.Addr())
}

func prefixes(texts ...string) (out []netip.Prefix) {
	for _, t := range texts {
		out = append(out, netip.MustParsePrefix(t))
	}
	return out
}

func addresses(texts ...string) (out []netip.Addr) {
	for _, t := range texts {
		out = append(out, netip.MustParseAddr(t))
	}
	return out
}
