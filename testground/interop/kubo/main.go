// kubo's daemon as a peer that speaks the line protocol of docs/specs/interop-peer.md. The
// daemon is the program ipfs as it is; this one starts it and turns lines into requests of its RPC.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
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
	Content  string `json:"content"`
	Topic    string `json:"topic"`
	Data     string `json:"data"`
	Path     string `json:"path"`
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
	ipfs := flag.String("ipfs", "", "the program ipfs")
	flag.Parse()
	if err := run(*ipfs, listen, *mdns, *relay); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ipfs string, listen []string, mdns, relay bool) error {
	ctx := context.Background()
	node, err := start(ctx, ipfs, listen, mdns, relay)
	if err != nil {
		return err
	}
	defer node.stop()
	out := json.NewEncoder(os.Stdout)
	ready := map[string]any{"ready": true, "peer": node.id, "addrs": node.addrs, "versions": node.versions}
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
		ok, err := node.do(within, req)
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
