package image

import (
	"archive/tar"
	"bytes"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
)

// layer is a tar of the files, all owned by root and from 1970, in the order
// given, and within a directory by name.
func (i Image) layer() ([]byte, error) {
	var buffer bytes.Buffer
	l := layer{out: tar.NewWriter(&buffer), added: map[string]bool{"tmp": true}}
	if err := addFolder(l.out, "tmp/", 0o1777); err != nil {
		return nil, err
	}
	for _, pair := range i.Files {
		source, target, ok := strings.Cut(pair, ":")
		if !ok {
			target = source
		}
		err := filepath.WalkDir(source, func(file string, entry fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			relative, _ := filepath.Rel(source, file)
			if err := l.add(file, path.Join(target, relative)); err != nil || !i.Libs {
				return err
			}
			return l.addLibraries(file)
		})
		if err != nil {
			return nil, err
		}
	}
	if err := l.out.Close(); err != nil {
		return nil, err
	}
	return buffer.Bytes(), nil
}

type layer struct {
	out   *tar.Writer
	added map[string]bool
}

// add adds what source stands for, a symbolic link's own target included, and
// the folders that lead to it.
func (l layer) add(source, target string) error {
	target = strings.Trim(target, "/")
	if target == "" || target == "." || l.added[target] {
		return nil
	}
	info, err := os.Stat(source)
	if err != nil {
		return err
	}
	if err := l.addParents(target); err != nil {
		return err
	}
	l.added[target] = true
	switch {
	case info.IsDir():
		return addFolder(l.out, target+"/", 0o755)
	case !info.Mode().IsRegular():
		return nil
	}
	data, err := os.ReadFile(source)
	if err != nil {
		return err
	}
	// Not the file's own mode: that has the umask of whoever made it.
	mode := int64(0o644)
	if info.Mode()&0o100 != 0 {
		mode = 0o755
	}
	return addBytes(l.out, target, mode, data)
}

func (l layer) addParents(target string) error {
	for at, c := range target {
		if folder := target[:at]; c == '/' && !l.added[folder] {
			l.added[folder] = true
			if err := addFolder(l.out, folder+"/", 0o755); err != nil {
				return err
			}
		}
	}
	return nil
}

// addLibraries adds the dynamic loader and libraries of an ELF file.
func (l layer) addLibraries(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	magic := make([]byte, 4)
	if _, err := io.ReadFull(f, magic); err != nil || string(magic) != "\x7fELF" {
		return nil // a directory, or no program
	}
	listing, err := exec.Command("ldd", file).Output()
	if err != nil {
		return nil // a static program
	}
	for _, line := range strings.Split(string(listing), "\n") {
		for _, word := range strings.Fields(line) {
			if strings.HasPrefix(word, "/") {
				if err := l.add(word, word); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func addFolder(out *tar.Writer, name string, mode int64) error {
	return out.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: name, Mode: mode})
}

func addBytes(out *tar.Writer, name string, mode int64, data []byte) error {
	err := out.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: int64(len(data))})
	if err == nil {
		_, err = out.Write(data)
	}
	return err
}
