// Package image makes container images from files of this machine: no
// container engine, and the same files make the same bytes.
package image

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
)

// Image describes an image of one layer.
type Image struct {
	Name       string // without a tag, the tag is made from the content
	User       string
	Entrypoint []string
	Env        []string
	Files      []string // SOURCE:TARGET, each a file or a directory
	Libs       bool     // add the shared libraries that the files need
	Gzip       bool     // smaller, and slower to make
}

const created = "1970-01-01T00:00:00Z"

type object = map[string]any

// Write makes an archive that is an OCI image layout, and also what "docker
// load" takes. It returns the image's whole name.
func (i Image) Write(archive string) (string, error) {
	layer, err := i.layer()
	if err != nil {
		return "", err
	}
	blobs := []blob{{data: layer, kind: "application/vnd.oci.image.layer.v1.tar"}}
	if i.Gzip {
		if blobs[0], err = compress(layer); err != nil {
			return "", err
		}
	}
	blobs = append(blobs, blob{kind: "application/vnd.oci.image.config.v1+json", data: toJSON(object{
		"architecture": runtime.GOARCH, "os": "linux", "created": created,
		"config": object{"User": i.User, "Entrypoint": i.Entrypoint,
			"Env": append([]string{"PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"}, i.Env...)},
		"rootfs": object{"type": "layers", "diff_ids": []string{digest(layer)}},
	})})
	blobs = append(blobs, blob{kind: "application/vnd.oci.image.manifest.v1+json", data: toJSON(object{
		"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
		"config": blobs[1].descriptor(nil), "layers": []object{blobs[0].descriptor(nil)},
	})})
	name := i.Name
	if !strings.Contains(name[strings.LastIndex(name, "/")+1:], ":") {
		name += ":" + strings.TrimPrefix(digest(blobs[2].data), "sha256:")[:12]
	}
	return name, writeLayout(archive, name, blobs)
}

// writeLayout writes the layer, the configuration and the manifest.
func writeLayout(archive, name string, blobs []blob) error {
	file, err := os.Create(archive)
	if err != nil {
		return err
	}
	defer file.Close()
	out := tar.NewWriter(file)
	index := object{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
		"manifests": []object{blobs[2].descriptor(object{
			"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name[strings.LastIndex(name, ":")+1:]})}}
	docker := []object{{"Config": blobs[1].path(), "RepoTags": []string{name}, "Layers": []string{blobs[0].path()}}}
	err = errors.Join(
		addBytes(out, "oci-layout", 0o644, toJSON(object{"imageLayoutVersion": "1.0.0"})),
		addBytes(out, "index.json", 0o644, toJSON(index)),
		addBytes(out, "manifest.json", 0o644, toJSON(docker)),
		addFolder(out, "blobs/", 0o755),
		addFolder(out, "blobs/sha256/", 0o755),
	)
	for _, blob := range blobs {
		err = errors.Join(err, addBytes(out, blob.path(), 0o644, blob.data))
	}
	return errors.Join(err, out.Close(), file.Close())
}

// Names are the names of the images in an archive.
func Names(archive string) ([]string, error) {
	file, err := os.Open(archive)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	for in := tar.NewReader(file); ; {
		header, err := in.Next()
		if err != nil {
			return nil, fmt.Errorf("%s has no manifest.json: %w", archive, err)
		}
		if header.Name != "manifest.json" {
			continue
		}
		var images []struct{ RepoTags []string }
		var names []string
		if err := json.NewDecoder(in).Decode(&images); err != nil {
			return nil, err
		}
		for _, image := range images {
			names = append(names, image.RepoTags...)
		}
		return names, nil
	}
}

type blob struct {
	kind string
	data []byte
}

func (b blob) path() string {
	return "blobs/sha256/" + strings.TrimPrefix(digest(b.data), "sha256:")
}

func (b blob) descriptor(annotations object) object {
	d := object{"mediaType": b.kind, "digest": digest(b.data), "size": len(b.data)}
	if annotations != nil {
		d["annotations"] = annotations
	}
	return d
}

func compress(layer []byte) (blob, error) {
	var buffer bytes.Buffer
	out, err := gzip.NewWriterLevel(&buffer, gzip.BestCompression)
	if err != nil {
		return blob{}, err
	}
	_, err = out.Write(layer)
	err = errors.Join(err, out.Close())
	return blob{"application/vnd.oci.image.layer.v1.tar+gzip", buffer.Bytes()}, err
}

func digest(data []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(data)) }

// toJSON takes what has no part that JSON lacks; keys come out in order.
func toJSON(value any) []byte {
	data, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return data
}
