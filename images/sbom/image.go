package main

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
)

// maxImage limits the bytes that are read of an archive or a layer. An image of the module
// has about a tenth of it.
const maxImage = 256 << 20

// image is the content of an archive.
type image struct {
	digest   string // SHA-256 of its configuration, which names all layers: 64 hexadecimal digits
	platform string // such as linux/amd64
	labels   map[string]string
	files    map[string][]byte // regular files by their path in the image, which begins with a slash
}

// config is the part of an image's configuration that is used here.
type config struct {
	Architecture string `json:"architecture"`
	Variant      string `json:"variant"`
	OS           string `json:"os"`
	Config       struct {
		Labels map[string]string `json:"Labels"`
	} `json:"config"`
}

// readImage reads an archive of docker save with one image.
func readImage(r io.Reader) (image, error) {
	archive, _, err := readTar(r) // links in an archive only repeat layers under older names
	if err != nil {
		return image{}, err
	}
	var manifest []struct {
		Config string   `json:"Config"`
		Layers []string `json:"Layers"`
	}
	if err := json.Unmarshal(archive["/manifest.json"], &manifest); err != nil {
		return image{}, fmt.Errorf("manifest.json: %w", err)
	}
	if len(manifest) != 1 {
		return image{}, fmt.Errorf("the archive has %d images, want 1", len(manifest))
	}
	raw := archive["/"+manifest[0].Config]
	var c config
	if err := json.Unmarshal(raw, &c); err != nil {
		return image{}, fmt.Errorf("configuration %s: %w", manifest[0].Config, err)
	}
	i := image{digest: sha(raw), platform: path.Join(c.OS, c.Architecture, c.Variant), labels: c.Config.Labels, files: map[string][]byte{}}
	for _, name := range manifest[0].Layers {
		layer, ok := archive["/"+name]
		if !ok {
			return image{}, fmt.Errorf("layer %s is missing", name)
		}
		files, others, err := readTar(bytes.NewReader(layer))
		if err != nil {
			return image{}, fmt.Errorf("layer %s: %w", name, err)
		}
		if len(others) > 0 {
			return image{}, fmt.Errorf("layer %s has links or devices, which the bill of materials would not show: %q", name, others)
		}
		maps.Copy(i.files, files)
	}
	return i, nil
}

// readTar returns all regular files, and the names of what is neither a regular file nor a
// folder.
func readTar(r io.Reader) (files map[string][]byte, others []string, err error) {
	files = map[string][]byte{}
	limited := &io.LimitedReader{R: r, N: maxImage}
	for t := tar.NewReader(limited); ; {
		header, err := t.Next()
		switch {
		case limited.N == 0:
			return nil, nil, fmt.Errorf("larger than %d bytes", maxImage)
		case errors.Is(err, io.EOF):
			return files, others, nil
		case err != nil:
			return nil, nil, err
		case header.Typeflag == tar.TypeDir:
		case header.Typeflag != tar.TypeReg:
			others = append(others, header.Name)
		default:
			b, err := io.ReadAll(t)
			if err != nil {
				return nil, nil, fmt.Errorf("%s: %w", header.Name, err)
			}
			files[path.Clean("/"+header.Name)] = b
		}
	}
}
