package webhook

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/mcpsec/mcpsec-go/internal/lazy"
)

const (
	maxCertificate   = 64 << 10 // bytes of one answer
	maxKeptKeys      = 16
	keepKey          = 24 * time.Hour
	unknownPerMinute = 10 // fetches of URLs that have not proved good before
)

// certificates fetches and keeps the keys that Amazon SNS signs with. URLs come
// from whoever sends a message: only certain ones are fetched, and new ones not
// often.
type certificates struct {
	client        http.Client
	roots         *x509.CertPool
	intermediates *x509.CertPool
	turn          chan struct{} // held by the one that fetches

	mu      sync.Mutex
	keys    map[string]keptKey
	minute  time.Time // of the count
	unknown int
}

type keptKey struct {
	key   *rsa.PublicKey
	until time.Time
}

func newCertificates(o SNSOptions) *certificates {
	c := &certificates{roots: o.Roots, intermediates: o.Intermediates, turn: make(chan struct{}, 1), keys: map[string]keptKey{}}
	c.client.Timeout = 10 * time.Second
	if o.Client != nil {
		c.client = *o.Client
	}
	c.client.CheckRedirect = func(*http.Request, []*http.Request) error {
		return errors.New("redirects are not followed")
	}
	return c
}

var certificatePath = lazy.Regexp(`^/SimpleNotificationService-[0-9a-f]{1,64}\.pem$`)

// key returns the key of the certificate at a URL, which must be of the host.
func (c *certificates) key(ctx context.Context, text, host string, now time.Time) (*rsa.PublicKey, error) {
	path, ok := strings.CutPrefix(text, "https://"+host)
	if !ok || !certificatePath().MatchString(path) {
		return nil, refuse(reasonHeader, "SigningCertURL is not of SNS in the topic's region")
	}
	if key := c.kept(text, now); key != nil {
		return key, nil
	}
	select {
	case c.turn <- struct{}{}:
		defer func() { <-c.turn }()
	case <-ctx.Done():
		return nil, refuse(reasonKey, "the certificate was not to be had in time")
	}
	if key := c.kept(text, now); key != nil { // another fetched it meanwhile
		return key, nil
	}
	if !c.mayFetch(text, now) {
		return nil, refuse(reasonKey, "too many unknown certificates were asked for")
	}
	leaf, err := c.fetch(ctx, text, host, now)
	if err != nil {
		return nil, err
	}
	key := leaf.PublicKey.(*rsa.PublicKey) // as judge has seen
	c.keep(text, keptKey{key, earlier(now.Add(keepKey), leaf.NotAfter)}, now)
	return key, nil
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func (c *certificates) kept(text string, now time.Time) *rsa.PublicKey {
	c.mu.Lock()
	defer c.mu.Unlock()
	if k, ok := c.keys[text]; ok && now.Before(k.until) {
		return k.key
	}
	return nil
}

// keep adds a key, in place of an ended one or of any, if there are too many.
func (c *certificates) keep(text string, k keptKey, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	drop := ""
	for url, other := range c.keys {
		if drop == "" || !now.Before(other.until) {
			drop = url
		}
	}
	if _, known := c.keys[text]; !known && len(c.keys) >= maxKeptKeys {
		delete(c.keys, drop)
	}
	c.keys[text] = k
}

// mayFetch counts fetches of unknown URLs. Known ones are not counted, so that a
// flood of made-up URLs stops no genuine message.
func (c *certificates) mayFetch(text string, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, known := c.keys[text]; known {
		return true
	}
	if now.Sub(c.minute) >= time.Minute {
		c.minute, c.unknown = now, 0
	}
	c.unknown++
	return c.unknown <= unknownPerMinute
}

// fetch gets a certificate and judges it.
func (c *certificates) fetch(ctx context.Context, text, host string, now time.Time) (*x509.Certificate, error) {
	data, err := c.get(ctx, text)
	if err != nil {
		return nil, refuse(reasonKey, "the certificate was not to be had: "+err.Error())
	}
	chain, err := parsePEM(data)
	if err != nil {
		return nil, refuse(reasonKey, "what was fetched is not a certificate")
	}
	if err := c.judge(ctx, chain, host, now); err != nil {
		return nil, refuse(reasonSignature, "the certificate is not one of SNS in the topic's region")
	}
	return chain[0], nil
}

// judge checks that the first certificate is of an RSA key, is valid now, was
// made for SNS in the host's region and leads to a root.
func (c *certificates) judge(ctx context.Context, chain []*x509.Certificate, host string, now time.Time) error {
	leaf := chain[0]
	key, ok := leaf.PublicKey.(*rsa.PublicKey)
	if !ok || key.N.BitLen() < 2048 {
		return errors.New("not an RSA key of 2048 bits")
	}
	if !namedForSNS(leaf, host) {
		return errors.New("another name")
	}
	pool := x509.NewCertPool()
	if c.intermediates != nil {
		pool = c.intermediates.Clone()
	}
	for _, other := range chain[1:] {
		pool.AddCert(other)
	}
	options := x509.VerifyOptions{Roots: c.roots, Intermediates: pool, CurrentTime: now}
	_, err := leaf.Verify(options)
	if err == nil {
		return nil
	}
	// Amazon serves the leaf alone.
	issuer, issuerErr := c.issuer(ctx, leaf)
	if issuerErr != nil {
		return errors.Join(err, issuerErr)
	}
	pool.AddCert(issuer)
	_, err = leaf.Verify(options)
	return err
}

// namedForSNS reports whether a certificate is for signing SNS messages in the
// region of the host. Amazon names some for all regions, some for one.
func namedForSNS(leaf *x509.Certificate, host string) bool {
	rest := strings.TrimPrefix(host, "sns.")
	region, _, _ := strings.Cut(rest, ".")
	names := []string{host, "sns-signing." + rest, "sns-" + rest}
	switch {
	case strings.HasPrefix(region, "us-gov-"):
		names = append(names, "sns-us-gov-west-1.amazonaws.com")
	case !strings.HasSuffix(host, ".cn"):
		names = append(names, "sns.amazonaws.com")
	}
	for _, name := range names {
		if leaf.VerifyHostname(name) == nil {
			return true
		}
	}
	return false
}

var issuerURL = lazy.Regexp(`^https?://crt\.[a-z0-9]{1,20}\.amazontrust\.com/[a-z0-9]{1,20}\.(?:cer|crt)$`)

// issuer fetches the certificate that a leaf names as its issuer's, from Amazon
// Trust Services and nowhere else. It is as good as its signature.
func (c *certificates) issuer(ctx context.Context, leaf *x509.Certificate) (*x509.Certificate, error) {
	if len(leaf.IssuingCertificateURL) == 0 || !issuerURL().MatchString(leaf.IssuingCertificateURL[0]) {
		return nil, errors.New("the issuer's certificate is not at Amazon Trust Services")
	}
	data, err := c.get(ctx, leaf.IssuingCertificateURL[0])
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(data)
}

func (c *certificates) get(ctx context.Context, text string) (data []byte, err error) {
	u, err := url.Parse(text)
	if err != nil {
		return nil, errors.New("malformed URL")
	}
	req := (&http.Request{Method: http.MethodGet, URL: u, Header: http.Header{}}).WithContext(ctx)
	res, err := c.client.Do(req)
	var ue *url.Error
	if errors.As(err, &ue) {
		return nil, ue.Err // without the URL, which a stranger may have chosen
	}
	defer func() { err = errors.Join(err, res.Body.Close()) }()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %d", res.StatusCode)
	}
	data, err = io.ReadAll(io.LimitReader(res.Body, maxCertificate+1))
	if err == nil && len(data) > maxCertificate {
		err = errors.New("the answer is too long")
	}
	return data, err
}

// parsePEM reads up to five certificates, the leaf first.
func parsePEM(data []byte) (chain []*x509.Certificate, err error) {
	for len(chain) < 5 {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return nil, errors.New("not a certificate")
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		chain = append(chain, cert)
	}
	if len(chain) == 0 {
		return nil, errors.New("no certificate")
	}
	return chain, nil
}
