// Golden makes the test vectors of the crate unixfs with kubo, the reference implementation.
//
// It builds the inputs from rules that the Rust tests follow too, so no input is stored, and asks
// `ipfs add --only-hash` for the CID of each. Kubo runs offline in a repository of its own that is
// thrown away; no daemon is started.
//
//	go build -o /tmp/ipfs github.com/ipfs/kubo/cmd/ipfs
//	go run . -ipfs /tmp/ipfs -out ../../../protocols/unixfs/tests/vectors
package main

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const (
	mib     = 1 << 20
	profile = "unixfs-v1-2025"
)

// File is a file of generated content: "splitmix64" (see fill) or "zero".
type File struct {
	Content string `json:"content"`
	Size    int64  `json:"size"`
	CID     string `json:"cid"`
}

// Entry is one path of a tree; directories come before what is in them.
type Entry struct {
	Path   string `json:"path"`
	Kind   string `json:"kind"`
	Size   int64  `json:"size,omitempty"`
	Target string `json:"target,omitempty"`
}

// Tree is a directory: the entries listed, and Count files of the one byte 'x' named 00000000,
// 00000001 and so on.
type Tree struct {
	Name    string  `json:"name"`
	Entries []Entry `json:"entries"`
	Count   int     `json:"count"`
	CID     string  `json:"cid"`
}

// Archive is a CAR file of a DAG in another layout than the profile's.
type Archive struct {
	Name    string   `json:"name"`
	Content string   `json:"content"`
	Size    int64    `json:"size"`
	Count   int      `json:"count"`
	Args    []string `json:"args"`
	CID     string   `json:"cid"`
}

// Vectors is the file vectors.json.
type Vectors struct {
	Kubo     string    `json:"kubo"`
	Profile  string    `json:"profile"`
	Files    []File    `json:"files"`
	Trees    []Tree    `json:"trees"`
	Archives []Archive `json:"archives"`
}

var ipfs = flag.String("ipfs", "ipfs", "path of the ipfs binary")

func main() {
	out := flag.String("out", ".", "folder the vectors are written to")
	flag.Parse()
	work, err := os.MkdirTemp("", "golden")
	check(err)
	defer os.RemoveAll(work)
	check(os.Setenv("IPFS_PATH", filepath.Join(work, "repo")))
	check(os.Setenv("IPFS_TELEMETRY", "off"))
	run("init", "--empty-repo", "--profile", profile)
	check(os.MkdirAll(*out, 0o755))

	v := Vectors{Kubo: run("version", "--number"), Profile: profile}
	for _, f := range files() {
		path := filepath.Join(work, "file")
		check(fill(path, f.Content, f.Size))
		f.CID = add(path, "--only-hash")
		v.Files = append(v.Files, f)
	}
	for _, t := range trees() {
		root := filepath.Join(work, t.Name)
		check(grow(root, t.Entries, t.Count))
		t.CID = add(root, "--only-hash")
		v.Trees = append(v.Trees, t)
	}
	for _, a := range archives() {
		path := filepath.Join(work, a.Name)
		if a.Count > 0 {
			check(grow(path, nil, a.Count))
			run("config", "Import.UnixFSHAMTDirectorySizeThreshold", "1B")
		} else {
			check(fill(path, a.Content, a.Size))
		}
		a.CID = add(path, a.Args...)
		car, err := exec.Command(*ipfs, "--offline", "dag", "export", "--progress=false", a.CID).Output()
		check(err)
		check(os.WriteFile(filepath.Join(*out, a.Name+".car"), car, 0o644))
		v.Archives = append(v.Archives, a)
	}

	text, err := json.MarshalIndent(v, "", "  ")
	check(err)
	check(os.WriteFile(filepath.Join(*out, "vectors.json"), append(text, '\n'), 0o644))
}

func files() []File {
	var all []File
	for _, size := range []int64{0, 1, 1000, mib - 1, mib, mib + 1, 3 * mib} {
		all = append(all, File{Content: "splitmix64", Size: size})
	}
	// Around one full node of 1024 chunks, and beyond it.
	for _, size := range []int64{1024 * mib, 1024*mib + 1, 1025 * mib} {
		all = append(all, File{Content: "zero", Size: size})
	}
	return all
}

func trees() []Tree {
	return []Tree{
		{Name: "empty", Entries: []Entry{}},
		{Name: "nested", Entries: []Entry{
			{Path: "a", Kind: "directory"},
			{Path: "a/b", Kind: "directory"},
			{Path: "a/b/c", Kind: "directory"},
			{Path: "a/b/c/deep", Kind: "file", Size: 1000},
			{Path: "a/b/large", Kind: "file", Size: 3*mib + 5},
			{Path: "a/empty", Kind: "file"},
			{Path: "a-first", Kind: "file", Size: 7},
			{Path: "void", Kind: "directory"},
		}},
		{Name: "names", Entries: []Entry{
			{Path: ".hidden", Kind: "file", Size: 3},
			{Path: "Ünïcödé ✓", Kind: "file", Size: 10},
			{Path: "日本語", Kind: "directory"},
			{Path: "日本語/файл", Kind: "file", Size: 20},
			{Path: "e\u0301 decomposed", Kind: "file", Size: 1},
			{Path: "\u00e9 composed", Kind: "file", Size: 2},
			{Path: "new\nline and \"quotes\"", Kind: "file", Size: 4},
			{Path: strings.Repeat("n", 255), Kind: "file", Size: 5},
			{Path: "Z", Kind: "file", Size: 1},
			{Path: "a", Kind: "file", Size: 1},
		}},
		{Name: "links", Entries: []Entry{
			{Path: "file", Kind: "file", Size: 12},
			{Path: "to-file", Kind: "symlink", Target: "file"},
			{Path: "to-nothing", Kind: "symlink", Target: "../no/such/thing"},
		}},
		// 4 bytes of data, 5040 links of 52 bytes and one of 60 are 262,144 bytes exactly.
		{Name: "at-threshold", Count: 5040, Entries: []Entry{
			{Path: strings.Repeat("t", 16), Kind: "file", Size: 1},
		}},
		{Name: "over-threshold", Count: 5040, Entries: []Entry{
			{Path: strings.Repeat("t", 17), Kind: "file", Size: 1},
		}},
		{Name: "hamt", Count: 9000, Entries: []Entry{
			{Path: "sub", Kind: "directory"},
			{Path: "sub/large", Kind: "file", Size: 2 * mib},
			{Path: "link", Kind: "symlink", Target: "sub/large"},
		}},
	}
}

func archives() []Archive {
	return []Archive{
		{Name: "legacy", Content: "splitmix64", Size: 20000,
			Args: []string{"--cid-version=0", "--raw-leaves=false", "--chunker=size-64", "--max-file-links=174"}},
		{Name: "trickle", Content: "splitmix64", Size: 20000,
			Args: []string{"--cid-version=0", "--raw-leaves=false", "--trickle", "--chunker=size-256", "--max-file-links=8"}},
		{Name: "legacy-hamt", Count: 300, Args: []string{"--cid-version=0", "--raw-leaves=false"}},
	}
}

func add(path string, args ...string) string {
	args = append([]string{"add", "-r", "-H", "-Q", "--progress=false", "--pin=false"}, args...)
	return run(append(args, path)...)
}

func run(args ...string) string {
	cmd := exec.Command(*ipfs, append([]string{"--offline"}, args...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		log.Fatalf("ipfs %s: %v", strings.Join(args, " "), err)
	}
	return strings.TrimSpace(string(out))
}

// grow makes a tree.
func grow(root string, entries []Entry, count int) error {
	if err := os.Mkdir(root, 0o755); err != nil {
		return err
	}
	for i := range count {
		if err := os.WriteFile(filepath.Join(root, fmt.Sprintf("%08d", i)), []byte("x"), 0o644); err != nil {
			return err
		}
	}
	for _, e := range entries {
		path := filepath.Join(root, e.Path)
		var err error
		switch e.Kind {
		case "directory":
			err = os.Mkdir(path, 0o755)
		case "symlink":
			err = os.Symlink(e.Target, path)
		default:
			err = fill(path, "splitmix64", e.Size)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// fill writes a file. "splitmix64": the outputs of SplitMix64 from state 0, each as 8 bytes
// little-endian, cut to the size.
func fill(path, content string, size int64) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	if content == "zero" {
		return file.Truncate(size)
	}
	w := bufio.NewWriter(file)
	var state uint64
	for left := size; left > 0; left -= 8 {
		state += 0x9e3779b97f4a7c15
		z := state
		z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
		z = (z ^ z>>27) * 0x94d049bb133111eb
		z ^= z >> 31
		word := binary.LittleEndian.AppendUint64(nil, z)
		if _, err := w.Write(word[:min(8, left)]); err != nil {
			return err
		}
	}
	return w.Flush()
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
