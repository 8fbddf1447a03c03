package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// How often a file or a state that nothing announces is looked at.
const look = 100 * time.Millisecond

// A running daemon with a repository of its own.
type node struct {
	ipfs     string
	repo     string
	api      string
	daemon   *exec.Cmd
	id       string
	addrs    []string
	versions []string

	mutex sync.Mutex
	heard map[string][]message
}

// Nothing is dialled, looked up or reported that the test has not made: no bootstrap peers, no
// delegated routers, no automatic configuration, no port mapping.
func settings(listen []string, mdns bool) map[string]any {
	return map[string]any{
		"Addresses.Swarm":           listen,
		"Addresses.API":             "/ip4/127.0.0.1/tcp/0",
		"Addresses.Gateway":         []string{},
		"AutoConf.Enabled":          false,
		"AutoTLS.Enabled":           false,
		"Bootstrap":                 []string{},
		"DNS.Resolvers":             map[string]string{},
		"Discovery.MDNS.Enabled":    mdns,
		"Ipns.DelegatedPublishers":  []string{},
		"Pubsub.Enabled":            true,
		"Routing.DelegatedRouters":  []string{},
		"Routing.Type":              "dht",
		"Swarm.DisableNatPortMap":   true,
		"Swarm.RelayClient.Enabled": false,
		"Swarm.EnableHolePunching":  false,
		"HTTPRetrieval.Enabled":     false,
		"Version.SwarmCheckEnabled": false,
		"Provide.DHT.SweepEnabled":  false,
		"Plugins.Plugins.telemetry": map[string]any{"Disabled": true},
	}
}

// A relay waits until it knows that it is public, which nobody here could tell it.
var relaying = map[string]any{
	"Swarm.RelayService.Enabled":       true,
	"Internal.Libp2pForceReachability": "public",
}

// Who shall be relayed waits until it knows that it is not.
func relayed(relay string) map[string]any {
	return map[string]any{
		"Swarm.RelayClient.Enabled":        true,
		"Swarm.RelayClient.StaticRelays":   []string{relay},
		"Internal.Libp2pForceReachability": "private",
	}
}

func start(ctx context.Context, ipfs string, listen []string, mdns, relay bool) (*node, error) {
	repo, err := os.MkdirTemp("", "kubo-")
	if err != nil {
		return nil, err
	}
	n := &node{ipfs: ipfs, repo: repo, heard: map[string][]message{}}
	if _, err := n.run(ctx, "init", "--profile=unixfs-v1-2025"); err != nil {
		return nil, n.failed(err)
	}
	if err := n.configure(settings(listen, mdns)); err != nil {
		return nil, n.failed(err)
	}
	if relay {
		if err := n.configure(relaying); err != nil {
			return nil, n.failed(err)
		}
	}
	if err := n.launch(ctx); err != nil {
		return nil, n.failed(err)
	}
	return n, nil
}

// Starts the daemon, and waits until it answers.
func (n *node) launch(ctx context.Context) error {
	n.daemon = n.command(context.Background(), "daemon")
	n.daemon.Stdout, n.daemon.Stderr = os.Stderr, os.Stderr
	// It goes when this program does, however that ends.
	n.daemon.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	// The death signal is that of the thread that starts it.
	runtime.LockOSThread()
	if err := n.daemon.Start(); err != nil {
		return err
	}
	if err := n.ready(ctx); err != nil {
		n.kill()
		return err
	}
	return nil
}

// Has others reach this node over a relay, which the daemon reads when it starts.
func (n *node) reserve(ctx context.Context, relay string) error {
	n.kill()
	// What the one before wrote says nothing of the next.
	if err := os.Remove(filepath.Join(n.repo, "api")); err != nil && !os.IsNotExist(err) {
		return err
	}
	if err := n.configure(relayed(relay)); err != nil {
		return err
	}
	if err := n.launch(ctx); err != nil {
		return err
	}
	var who struct{ Addresses []string }
	return until(ctx, func() (bool, error) {
		err := n.ask(ctx, &who, "id")
		circuit := func(addr string) bool { return strings.Contains(addr, "/p2p-circuit") }
		return slices.ContainsFunc(who.Addresses, circuit), err
	})
}

// Writes settings into the file that init has made.
func (n *node) configure(settings map[string]any) error {
	path := filepath.Join(n.repo, "config")
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var config map[string]any
	if err := json.Unmarshal(text, &config); err != nil {
		return err
	}
	for key, value := range settings {
		at, names := config, strings.Split(key, ".")
		for _, name := range names[:len(names)-1] {
			below, ok := at[name].(map[string]any)
			if !ok {
				below = map[string]any{}
				at[name] = below
			}
			at = below
		}
		at[names[len(names)-1]] = value
	}
	if text, err = json.MarshalIndent(config, "", "  "); err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o600)
}

// Waits for the RPC, and asks it who this is.
func (n *node) ready(ctx context.Context) error {
	within, cancel := context.WithTimeout(ctx, 50*time.Second)
	defer cancel()
	var who struct {
		ID           string
		Addresses    []string
		AgentVersion string
	}
	err := until(within, func() (bool, error) {
		address, err := os.ReadFile(filepath.Join(n.repo, "api"))
		if err != nil {
			return false, nil
		}
		parts := strings.Split(strings.TrimSpace(string(address)), "/")
		if len(parts) < 5 {
			return false, nil
		}
		n.api = fmt.Sprintf("http://%s:%s/api/v0/", parts[2], parts[4])
		return n.ask(within, &who, "id") == nil && len(who.Addresses) > 0, nil
	})
	if err != nil {
		return fmt.Errorf("the daemon does not start: %w", err)
	}
	n.id, n.addrs = who.ID, who.Addresses
	version, err := n.run(ctx, "version", "--number")
	if err != nil {
		return err
	}
	n.versions = []string{"kubo " + strings.TrimSpace(version), runtime.Version()}
	return nil
}

func (n *node) command(ctx context.Context, args ...string) *exec.Cmd {
	command := exec.CommandContext(ctx, n.ipfs, args...)
	command.Env = append(os.Environ(), "IPFS_PATH="+n.repo, "IPFS_TELEMETRY=off")
	return command
}

// Runs the command ipfs; what it printed.
func (n *node) run(ctx context.Context, args ...string) (string, error) {
	var out, said bytes.Buffer
	command := n.command(ctx, args...)
	command.Stdout, command.Stderr = &out, &said
	if err := command.Run(); err != nil {
		return "", fmt.Errorf("ipfs %s: %w: %s", args[0], err, strings.TrimSpace(said.String()))
	}
	return out.String(), nil
}

func (n *node) failed(err error) error {
	os.RemoveAll(n.repo)
	return err
}

func (n *node) kill() {
	n.daemon.Process.Signal(syscall.SIGKILL)
	n.daemon.Wait()
}

func (n *node) stop() {
	n.kill()
	os.RemoveAll(n.repo)
}

// Looks again until it is done; there is no event for most of what the daemon knows.
func until(ctx context.Context, done func() (bool, error)) error {
	for {
		ok, err := done()
		if ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(look):
		}
	}
}
