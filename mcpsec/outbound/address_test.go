package outbound

import (
	"net/netip"
	"strings"
	"testing"
)

func TestAddresses(t *testing.T) {
	t.Parallel()
	allow := func(ns networks, addrs string) {
		t.Helper()
		for _, a := range strings.Fields(addrs) {
			if err := ns.check(netip.MustParseAddr(a)); err != nil {
				t.Errorf("with networks %v: %v, want it allowed", ns, err)
			}
		}
	}
	deny := func(ns networks, addrs string) {
		t.Helper()
		for _, a := range strings.Fields(addrs) {
			if ns.check(netip.MustParseAddr(a)) == nil {
				t.Errorf("with networks %v: %s is allowed", ns, a)
			}
		}
	}
	allow(nil, "1.1.1.1 8.8.8.8 93.184.216.34 172.15.255.255 172.32.0.0 100.63.255.255 100.128.0.0 126.255.255.255 223.255.255.255")
	allow(nil, "2606:4700:4700::1111 2a00:1450:4001:81b::200e 2001:200::1 3ffe::1")
	allow(nil, "::ffff:8.8.8.8 64:ff9b::8.8.8.8")

	// The IANA special-purpose address registries, first and last of each.
	deny(nil, "0.0.0.0 0.255.255.255 10.0.0.0 10.255.255.255 100.64.0.0 100.127.255.255 127.0.0.1 127.255.255.255 169.254.0.0 169.254.255.255")
	deny(nil, "172.16.0.0 172.31.255.255 192.0.0.0 192.0.0.255 192.0.2.1 192.88.99.1 192.168.0.0 192.168.255.255 198.18.0.0 198.19.255.255")
	deny(nil, "192.31.196.1 192.52.193.1 192.175.48.1 198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.255 240.0.0.0 255.255.255.255")
	deny(nil, ":: ::1 100::1 100:0:0:1::1 2001::1 2001:1::1 2001:2::1 2001:4:112::1 2001:10::1 2001:20::1 2001:1ff::1 2001:db8::1 2620:4f:8000::1 3fff::1 5f00::1")
	deny(nil, "fc00::1 fdff::1 fe80::1 febf::1 fec0::1 feff::1 ff00::1 ff02::1 4000::1 1fff::1 64:ff9b:1::808:808")

	// Metadata services.
	deny(nil, "169.254.169.254 169.254.170.2 100.100.100.200 168.63.129.16 192.0.0.192 fd00:ec2::254 fd20:ce::254 fd00:c1::a9fe:a9fe fd00:42::42")

	// Addresses that hold another.
	deny(nil, "::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:169.254.169.254 ::127.0.0.1 ::8.8.8.8 64:ff9b::127.0.0.1 64:ff9b::10.0.0.1 64:ff9b::169.254.169.254")
	deny(nil, "2002:7f00:1::1 2002:808:808::1 2001:0:7f00:1::1 2001:0:808:808::1 2a00:1450::5efe:7f00:1 2a00:1450::200:5efe:808:808")
	deny(nil, "fe80::1%eth0 2606:4700:4700::1111%eth0 64:ff9b::8.8.8.8%eth0")

	// What Networks opens, and what it cannot.
	allow(loopback, "127.0.0.1 ::ffff:127.0.0.1 8.8.8.8")
	deny(loopback, "10.0.0.1 ::1 64:ff9b::127.0.0.1 ::127.0.0.1 2002:7f00:1::1")
	allow(prefixes("::1/128", "fd12::/16", "10.20.0.0/16"), "::1 fd12::1 10.20.255.255")
	deny(prefixes("10.20.0.0/16"), "10.21.0.0 10.19.255.255 64:ff9b::10.20.0.1")
	deny(prefixes("100.64.0.0/10", "192.0.0.0/24", "240.0.0.0/4", "fc00::/7", "::/3", "fc00::/6", "2001::/23"),
		"100.100.100.200 192.0.0.192 255.255.255.255 fd00:ec2::254 fd20:ce::254 fd00::5efe:a00:1 fe80::1 ff02::1 :: ::8.8.8.8 64:ff9b:1::1 2001::1 fd00::1%eth0")
}

func TestNetworks(t *testing.T) {
	t.Parallel()
	for _, p := range []string{"10.0.0.0/8", "10.1.2.3/32", "127.0.0.0/8", "192.168.0.0/24", "100.64.0.0/10", "fc00::/7", "::1/128", "2001:db8::/32"} {
		if _, err := newNetworks(prefixes(p)); err != nil {
			t.Errorf("%s: %v, want it allowed", p, err)
		}
	}
	for _, p := range []string{"0.0.0.0/0", "::/0", "8.0.0.0/8", "8.8.8.8/32", "10.0.0.0/7", "2000::/3", "2001::/16", "2606::/16",
		"169.254.0.0/16", "169.254.169.254/32", "224.0.0.0/8", "fe80::/10", "ff00::/8", "64:ff9b::/96", "2002::/16", "2001::/32", "::/128", "10.1.0.0/8", "::ffff:10.0.0.0/104"} {
		if _, err := newNetworks(prefixes(p)); err == nil {
			t.Errorf("%s is allowed", p)
		}
	}
	if _, err := newNetworks([]netip.Prefix{{}}); err == nil {
		t.Error("the zero prefix is allowed")
	}
}

// Whatever the form, an address is not dialled if the address in it is not.
func FuzzAddresses(f *testing.F) {
	for _, s := range []string{"127.0.0.1:80", "[::ffff:10.0.0.1]:443", "[64:ff9b::a9fe:a9fe]:80", "[fe80::1%1]:1", "8.8.8.8:443", "0x7f.1:80", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if networks(nil).control(t.Context(), "tcp4", s, nil) != nil {
			return
		}
		a := netip.MustParseAddrPort(s).Addr()
		if b := a.As16(); a.Is6() && strings.HasPrefix(a.StringExpanded(), "0064:ff9b") {
			a = netip.AddrFrom4([4]byte(b[12:]))
		}
		if a = a.Unmap(); !a.IsGlobalUnicast() || a.IsPrivate() || a.Zone() != "" {
			t.Errorf("%s is dialled", s)
		}
	})
}
