package mailbox

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"time"
)

// certificate makes one for Host, signed by itself, and whom to trust for it.
func certificate() (tls.Certificate, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.ParseIP(Host)}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), err
}

// A listener taps its connections.
type listener struct {
	net.Listener
	b *Box
}

func (l listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.b.mu.Lock()
	defer l.b.mu.Unlock()
	l.b.conns[c] = true
	return tap{c, l.b}, nil
}

// A tap is a connection with somebody on it.
type tap struct {
	net.Conn
	b *Box
}

func (t tap) Read(p []byte) (int, error) {
	n, err := t.Conn.Read(p)
	t.b.mu.Lock()
	defer t.b.mu.Unlock()
	t.b.heard.Write(p[:n])
	return n, err
}

func (t tap) Write(p []byte) (int, error) {
	t.b.mu.Lock()
	strip := t.b.strip
	t.b.mu.Unlock()
	if strip {
		p = bytes.ReplaceAll(p, []byte("STARTTLS"), []byte("XXXXXXXA")) // as firewalls did
	}
	return t.Conn.Write(p)
}

func (t tap) Close() error {
	t.b.mu.Lock()
	delete(t.b.conns, t.Conn)
	t.b.mu.Unlock()
	return t.Conn.Close()
}

// abort ends the connection with a reset, which is not an end that anybody has wished.
func (t tap) abort() error {
	c, ok := t.Conn.(*net.TCPConn)
	if !ok {
		return errors.New("the connection is none of TCP")
	}
	return errors.Join(c.SetLinger(0), t.Close())
}
