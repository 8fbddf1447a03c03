// A go-libp2p peer that speaks the line protocol of docs/specs/interop-peer.md.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"time"
)

type addresses []string

func (a *addresses) String() string { return strings.Join(*a, ",") }

func (a *addresses) Set(address string) error {
	*a = append(*a, address)
	return nil
}

// Every member that a request or an answer of the line protocol can have.
type request struct {
	ID       uint64 `json:"id"`
	Do       string `json:"do"`
	WithinMs int64  `json:"within_ms"`
	Addr     string `json:"addr"`
	Peer     string `json:"peer"`
	Key      string `json:"key"`
	Topic    string `json:"topic"`
	Data     string `json:"data"`
}

type answer struct {
	ID    uint64 `json:"id"`
	Ok    any    `json:"ok,omitempty"`
	Error string `json:"error,omitempty"`
}

func main() {
	var listen addresses
	flag.Var(&listen, "listen", "multiaddress to listen on; may be repeated")
	mdns := flag.Bool("mdns", false, "announce and discover by mDNS")
	relay := flag.Bool("relay", false, "relay for others")
	flag.Parse()
	if err := run(listen, *mdns, *relay); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(listen []string, mdns, relay bool) error {
	ctx := context.Background()
	peer, err := start(ctx, listen, mdns, relay)
	if err != nil {
		return err
	}
	defer peer.host.Close()
	out := json.NewEncoder(os.Stdout)
	ready := map[string]any{"ready": true, "peer": peer.host.ID().String(), "addrs": peer.addrs(), "versions": versions()}
	if err := out.Encode(ready); err != nil {
		return err
	}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var req request
		if err := json.Unmarshal(lines.Bytes(), &req); err != nil {
			return fmt.Errorf("not a request: %w", err)
		}
		within, cancel := context.WithTimeout(ctx, time.Duration(req.WithinMs)*time.Millisecond)
		ok, err := peer.do(within, req)
		cancel()
		reply := answer{ID: req.ID, Ok: ok}
		if err != nil {
			reply = answer{ID: req.ID, Error: err.Error()}
		}
		if err := out.Encode(reply); err != nil {
			return err
		}
	}
	return lines.Err()
}

// The libraries that matter, as they were linked, and Go itself.
func versions() []string {
	made := []string{}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, dep := range info.Deps {
			switch name := dep.Path[strings.LastIndex(dep.Path, "/")+1:]; name {
			case "go-libp2p", "go-libp2p-kad-dht", "go-libp2p-pubsub":
				made = append(made, name+" "+dep.Version)
			}
		}
	}
	return append(made, runtime.Version())
}
