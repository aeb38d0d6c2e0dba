package mailtool

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"blitiri.com.ar/go/spf"
	"github.com/miekg/dns"

	"github.com/mcpsec/mcpsec-go/internal/mcptest"
	"github.com/mcpsec/mcpsec-go/mailtool"
	"github.com/mcpsec/mcpsec-go/mcpsec/outbound"
)

// A nameServer is miekg/dns, over UDP and TCP. Records are lines of a zone, by name and
// type; SERVFAIL and SILENT are what it does instead of an answer.
type nameServer struct {
	addr    string
	records map[string][]string
	udp     atomic.Int32
	tcp     atomic.Int32
}

func newNameServer(t testing.TB, records map[string][]string) *nameServer {
	t.Helper()
	n := &nameServer{records: records}
	var packets net.PacketConn
	var ln net.Listener
	var err error
	for range 20 { // until a port is free for both
		if packets, err = net.ListenPacket("udp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		n.addr = packets.LocalAddr().String()
		if ln, err = net.Listen("tcp", n.addr); err == nil {
			break
		}
		packets.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []*dns.Server{{PacketConn: packets, Handler: n}, {Listener: ln, Handler: n}} {
		started := make(chan struct{})
		s.NotifyStartedFunc = func() { close(started) }
		go func() { _ = s.ActivateAndServe() }()
		<-started
		t.Cleanup(func() { _ = s.Shutdown() })
	}
	return n
}

func (n *nameServer) ServeDNS(w dns.ResponseWriter, r *dns.Msg) {
	_, udp := w.RemoteAddr().(*net.UDPAddr)
	if udp {
		n.udp.Add(1)
	} else {
		n.tcp.Add(1)
	}
	m := new(dns.Msg)
	m.SetReply(r)
	m.RecursionAvailable = true // as servers do whom programs ask
	q := r.Question[0]
	lines, ok := n.records[strings.ToLower(strings.TrimSuffix(q.Name, "."))]
	if !ok {
		m.Rcode = dns.RcodeNameError
	}
	for _, line := range lines {
		switch kind, value, _ := strings.Cut(line, " "); {
		case kind == "SILENT":
			return
		case kind == "SERVFAIL":
			m.Rcode = dns.RcodeServerFailure
		case kind == "TXT" && q.Qtype == dns.TypeTXT:
			rr := &dns.TXT{Hdr: dns.RR_Header{Name: q.Name, Rrtype: dns.TypeTXT, Class: dns.ClassINET, Ttl: 1}}
			for ; len(value) > 255; value = value[255:] {
				rr.Txt = append(rr.Txt, value[:255])
			}
			rr.Txt = append(rr.Txt, value)
			m.Answer = append(m.Answer, rr)
		case kind == dns.TypeToString[q.Qtype] && kind != "TXT":
			rr, err := dns.NewRR(q.Name + " 1 IN " + line)
			if err != nil {
				panic(err)
			}
			m.Answer = append(m.Answer, rr)
		}
	}
	if udp {
		size := dns.MinMsgSize
		if o := r.IsEdns0(); o != nil {
			size = int(o.UDPSize())
		}
		m.Truncate(size)
	}
	_ = w.WriteMsg(m)
}

func (n *nameServer) resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, StrictErrors: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network[:3], n.addr)
	}}
}

const policyText = "version: STSv1\nmode: enforce\nmx: mx.shop.example\nmax_age: 604800\n"

func shop() map[string][]string {
	return map[string][]string{
		"shop.example":            {"TXT v=spf1 include:_spf.host.example mx -all", "MX 10 mx.shop.example."},
		"_spf.host.example":       {"TXT v=spf1 ip4:198.51.100.0/24 -all"},
		"mx.shop.example":         {"A 192.0.2.1"},
		"_dmarc.shop.example":     {"TXT v=DMARC1; p=reject; rua=mailto:dmarc@shop.example"},
		"_mta-sts.shop.example":   {"TXT v=STSv1; id=1"},
		"_smtp._tls.shop.example": {"TXT v=TLSRPTv1; rua=mailto:tls@shop.example"},
	}
}

// policyClient is one of package outbound, whose connections lead to srv.
func policyClient(t testing.TB, srv *httptest.Server, trust *x509.CertPool) *http.Client {
	t.Helper()
	addr := srv.Listener.Addr().String()
	client, err := outbound.New(outbound.Options{Allow: []string{addr}, Networks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, RootCAs: trust, MaxBody: 64 << 10, Retries: -1})
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Transport: rewriting(func(r *http.Request) (*http.Response, error) {
		there := r.Clone(r.Context())
		there.URL.Host, there.Host = addr, ""
		resp, err := client.Do(there)
		if err == nil {
			resp.Request.URL.Host = r.URL.Host
		}
		return resp, err
	})}
}

type rewriting func(*http.Request) (*http.Response, error)

func (f rewriting) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func policyServer(t testing.TB, h http.HandlerFunc) (*httptest.Server, *x509.CertPool) {
	t.Helper()
	cert, pool := mcptest.Certificate(t, nil)
	srv := httptest.NewUnstartedServer(h)
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return srv, pool
}

func text(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain")
	fmt.Fprint(w, policyText)
}

func findings(t testing.TB, d mailtool.DomainCheck) map[string]mailtool.Finding {
	t.Helper()
	d.Domain = "shop.example"
	list, err := d.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]mailtool.Finding{}
	for _, f := range list {
		out[f.Check] = f
	}
	return out
}

// Over a real name server: what is there, what is not, what is too large for a datagram,
// and a server that fails or is silent.
func TestDomainCheckServer(t *testing.T) {
	t.Parallel()
	srv, trust := policyServer(t, text)
	client := policyClient(t, srv, trust)
	long := "TXT v=spf1 " + strings.Repeat("ip4:192.0.2.1 ", 200) + "-all"
	for _, tc := range []struct {
		name    string
		change  map[string][]string
		verdict map[string]string
	}{
		{"good", nil, map[string]string{"mx": "pass", "spf": "pass", "dmarc": "pass", "mta-sts": "pass", "tls-rpt": "pass", "bimi": "missing"}},
		{"weak", map[string][]string{"_dmarc.shop.example": {"TXT v=DMARC1; p=none"}, "shop.example": {"TXT v=spf1 ?all", "MX 0 ."}}, map[string]string{"mx": "weak", "spf": "weak", "dmarc": "weak"}},
		{"nothing", map[string][]string{"_dmarc.shop.example": nil, "shop.example": nil, "_mta-sts.shop.example": nil}, map[string]string{"mx": "missing", "spf": "missing", "dmarc": "missing", "mta-sts": "missing", "tls-rpt": "pass"}},
		{"wrong", map[string][]string{"shop.example": {"TXT v=spf1 -all", "TXT v=spf1 mx -all", "MX 10 gone.example."}}, map[string]string{"mx": "wrong", "spf": "wrong", "mta-sts": "wrong"}},
		{"a loop", map[string][]string{"_spf.host.example": {"TXT v=spf1 include:shop.example -all"}}, map[string]string{"spf": "wrong"}},
		{"truncated", map[string][]string{"shop.example": {long, "MX 10 mx.shop.example."}}, map[string]string{"spf": "pass"}},
		{"giant", map[string][]string{"shop.example": {"TXT " + strings.Repeat("x", 60_000), "MX 10 mx.shop.example."}, "_dmarc.shop.example": {"TXT v=DMARC1; p=reject; x=" + strings.Repeat("y", 60_000)}}, map[string]string{"spf": "missing", "dmarc": "wrong"}},
		{"failing", map[string][]string{"shop.example": {"SERVFAIL"}}, map[string]string{"mx": "unknown", "spf": "unknown", "dmarc": "pass"}},
		{"a failing include", map[string][]string{"_spf.host.example": {"SERVFAIL"}}, map[string]string{"spf": "unknown", "mx": "pass"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			records := shop()
			for k, v := range tc.change {
				if records[k] = v; v == nil {
					delete(records, k)
				}
			}
			n := newNameServer(t, records)
			out := findings(t, mailtool.DomainCheck{Resolver: n.resolver(), Client: client, DKIM: map[string]crypto.PublicKey{}})
			for check, want := range tc.verdict {
				if f := out[check]; f.Verdict != want {
					t.Errorf("%s: %+v, want %s", check, f, want)
				}
			}
			if (tc.name == "truncated" || tc.name == "giant") && n.tcp.Load() == 0 {
				t.Error("what does not fit into a datagram was not asked for over TCP")
			}
		})
	}
	silent := newNameServer(t, map[string][]string{"shop.example": {"SILENT"}, "_dmarc.shop.example": {"SILENT"}})
	for check, f := range findings(t, mailtool.DomainCheck{Resolver: silent.resolver(), Client: client, Timeout: 200 * time.Millisecond}) {
		if f.Verdict != "unknown" {
			t.Errorf("a silent server: %s is %+v", check, f)
		}
	}
}

// The policy of MTA-STS, by the client that fetches it outside of tests.
func TestMTASTSPolicy(t *testing.T) {
	t.Parallel()
	n := newNameServer(t, shop())
	for name, tc := range map[string]struct {
		h       http.HandlerFunc
		trusted bool
		verdict string
	}{
		"good": {text, true, "pass"}, "a certificate of nobody's": {text, false, "wrong"},
		"a redirect": {func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/moved" {
				text(w, r)
				return
			}
			http.Redirect(w, r, "/moved", http.StatusFound)
		}, true, "wrong"},
		"a redirect elsewhere": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://169.254.169.254/", http.StatusFound)
		}, true, "wrong"},
		"too large": {func(w http.ResponseWriter, r *http.Request) {
			text(w, r)
			for range 100 {
				_, _ = w.Write(make([]byte, 1<<10))
			}
		}, true, "wrong"},
		"not there": {http.NotFound, true, "wrong"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv, trust := policyServer(t, tc.h)
			if !tc.trusted {
				trust = x509.NewCertPool()
			}
			f := findings(t, mailtool.DomainCheck{Resolver: n.resolver(), Client: policyClient(t, srv, trust)})["mta-sts"]
			if f.Verdict != tc.verdict || strings.Contains(f.Text, "127.0.0.1") || strings.Contains(f.Text, "169.254") {
				t.Errorf("%+v, want %s", f, tc.verdict)
			}
		})
	}
}

// oracle asks blitiri.com.ar/go/spf for a sender whom no record names: then it has to go
// through all of them, as DomainCheck does.
func oracle(t testing.TB, n *nameServer) spf.Result {
	t.Helper()
	result, _ := spf.CheckHostWithSender(net.ParseIP("203.0.113.77"), "mail.test", "a@shop.example", spf.WithContext(t.Context()), spf.WithResolver(n.resolver()))
	return result
}

// What breaks a record for another implementation of RFC 7208 is wrong, and what does not
// is not, but for what lets everybody send.
func TestSPFOracle(t *testing.T) {
	t.Parallel()
	names := shop()
	names["open.example"], names["deny.example"], names["foo.example"] = []string{"TXT v=spf1 +all"}, []string{"TXT v=spf1 -all"}, []string{"TXT v=spf1 foo -all"}
	names["two.example"], names["host.example"], names["self.example"] = []string{"TXT v=spf1 -all", "TXT v=spf1 -all"}, []string{"A 192.0.2.1"}, []string{"TXT v=spf1 include:self.example -all"}
	nested := "v=spf1"
	for i := range 12 {
		names[fmt.Sprintf("n%d.example", i)] = []string{"TXT v=spf1 ip4:192.0.2.1 -all"}
		names[fmt.Sprintf("d%d.example", i)] = []string{fmt.Sprintf("TXT v=spf1 include:d%d.example -all", i+1)}
		if nested += fmt.Sprintf(" include:n%d.example", i); i == 9 || i == 10 {
			names[fmt.Sprintf("%d.example", i)] = []string{"TXT " + nested + " -all"}
		}
	}
	names["d12.example"] = []string{"TXT v=spf1 -all"}
	offline := &http.Client{Transport: rewriting(func(*http.Request) (*http.Response, error) { return nil, io.EOF })}
	for _, s := range []string{
		"v=spf1 -all", "v=spf1 mx -all", "v=spf1 a mx ~all", "v=spf1 include:deny.example -all", "v=spf1 include:foo.example -all", "v=spf1 include:two.example -all", "v=spf1 include:gone.example -all", "v=spf1 include:host.example -all", "v=spf1 include:self.example -all", "v=spf1 include:shop.example -all",
		"v=spf1 redirect=deny.example", "v=spf1 redirect=gone.example", "v=spf1 redirect=shop.example", "v=spf1 include:9.example -all", "v=spf1 include:10.example -all", "v=spf1 redirect=9.example", "v=spf1 include:d0.example -all", "v=spf1 include:d3.example -all", "v=spf1 include:d2.example -all", "v=spf1 include:d4.example -all",
		"v=spf1 a:x.gone.example a:y.gone.example -all", "v=spf1 a:x.gone.example a:y.gone.example a:z.gone.example -all", "v=spf1 mx:x.gone.example mx:y.gone.example mx:z.gone.example -all", "v=spf1 foo", "v=spf1 ip4:1.2.3 -all", "v=spf1 ip4:192.0.2.0/33 -all", "v=spf1 ip6:x -all", "v=spf1 include -all", "v=spf1 a/33 -all", "v=spf1 mx//129 -all", "v=spf1 exp=x.example -all", "v=spf1 unknown=x -all", "v=spf1 ip4:192.0.2.0/24 ip6:2001:db8::/32 -all", "v=spf1 -include:deny.example ?a:host.example -all", "v=spf1 exists:host.example.gone -all", "V=SPF1 -ALL",
	} {
		records := map[string][]string{}
		for k, v := range names {
			records[k] = v
		}
		records["shop.example"] = []string{"TXT " + s, "MX 10 mx.shop.example.", "A 192.0.2.9"}
		n := newNameServer(t, records)
		theirs := oracle(t, n)
		ours := findings(t, mailtool.DomainCheck{Resolver: n.resolver(), Client: offline})["spf"]
		if (theirs == spf.PermError) != (ours.Verdict == "wrong") {
			t.Errorf("%q: theirs is %s, ours %+v", s, theirs, ours)
		}
	}
}
