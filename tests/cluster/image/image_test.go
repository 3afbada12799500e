package image

import (
	"archive/tar"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// files makes a folder of the same files as any other machine would.
func files(t *testing.T, modes os.FileMode, age time.Duration) string {
	dir := t.TempDir()
	for _, name := range []string{"b", "a", "sub/c"} {
		file := filepath.Join(dir, "tree", name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte("content of "+name), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(file, modes); err != nil {
			t.Fatal(err)
		}
		when := time.Now().Add(-age)
		if err := os.Chtimes(file, when, when); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func write(t *testing.T, dir, content string, gzip bool) (string, []byte) {
	image := Image{Name: "localhost/test", User: "65532:65532", Entrypoint: []string{"/a"}, Gzip: gzip,
		Files: []string{filepath.Join(dir, "tree") + ":/etc/tree", filepath.Join(dir, "tree/a") + ":/a"}}
	if content != "" {
		if err := os.WriteFile(filepath.Join(dir, "tree/a"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	archive := filepath.Join(dir, "image.tar")
	name, err := image.Write(archive)
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(archive)
	if err != nil {
		t.Fatal(err)
	}
	return name, data
}

func TestSameFilesMakeSameBytes(t *testing.T) {
	for _, gzip := range []bool{false, true} {
		first, a := write(t, files(t, 0o755, time.Hour), "", gzip)
		second, b := write(t, files(t, 0o775, 48*time.Hour), "", gzip)
		if !bytes.Equal(a, b) || first != second {
			t.Errorf("gzip %v: %s and %s differ", gzip, first, second)
		}
		if other, _ := write(t, files(t, 0o755, time.Hour), "other", gzip); other == first {
			t.Errorf("gzip %v: other content has the same name", gzip)
		}
	}
}

func TestLayoutIsWhole(t *testing.T) {
	dir := files(t, 0o644, 0)
	name, data := write(t, dir, "", false)
	names, err := Names(filepath.Join(dir, "image.tar"))
	if err != nil || len(names) != 1 || names[0] != name || !strings.HasPrefix(name, "localhost/test:") {
		t.Errorf("names %v, %v; name %s", names, err, name)
	}
	var found []string
	for in := tar.NewReader(bytes.NewReader(data)); ; {
		header, err := in.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		content, _ := io.ReadAll(in)
		if hash, ok := strings.CutPrefix(header.Name, "blobs/sha256/"); ok && hash != "" && digest(content) != "sha256:"+hash {
			t.Errorf("%s is not named by its content", header.Name)
		}
		if !header.ModTime.Equal(time.Unix(0, 0)) || header.Uid != 0 || header.Gid != 0 {
			t.Errorf("%s: time %v, owner %d:%d", header.Name, header.ModTime, header.Uid, header.Gid)
		}
		found = append(found, header.Name)
	}
	if want := "oci-layout index.json manifest.json blobs/ blobs/sha256/"; strings.Join(found[:5], " ") != want || len(found) != 8 {
		t.Errorf("found %v", found)
	}
}

func TestParentsAreThereOnce(t *testing.T) {
	dir := files(t, 0o600, 0)
	image := Image{Files: []string{dir + "/tree/a:/etc/ssl/a", dir + "/tree/b:/etc/b"}}
	data, err := image.layer()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for in := tar.NewReader(bytes.NewReader(data)); ; {
		header, err := in.Next()
		if err != nil {
			break
		}
		names = append(names, header.Name)
	}
	if got, want := strings.Join(names, " "), "tmp/ etc/ etc/ssl/ etc/ssl/a etc/b"; got != want {
		t.Errorf("%s, not %s", got, want)
	}
}
