package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A message of a topic.
type message struct {
	From string `json:"from"`
	Data string `json:"data"`
}

// An event of a search in the DHT.
type found struct {
	Type      int
	Responses []struct {
		ID    string
		Addrs []string
	}
}

// Types of events, from go-libp2p's routing.
const (
	finalPeer = 2
	provider  = 4
)

// Does what one line asks for.
func (n *node) do(ctx context.Context, req request) (any, error) {
	switch req.Do {
	case "dial":
		parts := strings.Split(req.Addr, "/p2p/")
		return map[string]string{"peer": parts[len(parts)-1]}, n.ask(ctx, nil, "swarm/connect", req.Addr)
	case "ping":
		return n.ping(ctx, req.Peer)
	case "identify":
		return n.identify(ctx, req.Peer)
	case "mdns-wait":
		return n.mdnsWait(ctx, req.Peer)
	case "kad-wait":
		return struct{}{}, n.kadWait(ctx, req.Peer)
	case "find-peer":
		addrs, err := n.findPeer(ctx, req.Peer)
		return map[string]any{"addrs": addrs}, err
	case "reserve":
		return struct{}{}, n.reserve(ctx, req.Addr)
	case "provide":
		return struct{}{}, n.provide(ctx, req.Key, req.Content)
	case "find-providers":
		providers, err := n.findProviders(ctx, req.Key)
		return map[string]any{"providers": providers}, err
	case "subscribe":
		return struct{}{}, n.subscribe(req.Topic)
	case "publish":
		return struct{}{}, n.publish(ctx, req.Topic, req.Data)
	case "gossip-wait":
		return n.gossipWait(ctx, req.Topic, req.Data)
	case "add":
		cid, err := n.run(ctx, "add", "--recursive", "--quieter", "--progress=false", req.Path)
		return map[string]string{"cid": strings.TrimSpace(cid)}, err
	case "fetch":
		_, err := n.run(ctx, "get", "--progress=false", "--output="+req.Path, req.Key)
		return struct{}{}, err
	}
	return nil, fmt.Errorf("unknown: %s", req.Do)
}

func (n *node) ping(ctx context.Context, peer string) (any, error) {
	type pong struct {
		Success bool
		Time    int64
		Text    string
	}
	var rtt int64
	said := ""
	err := each(ctx, n, func(p pong) bool {
		if p.Success && p.Time > 0 {
			rtt = p.Time
		} else {
			said = p.Text
		}
		return rtt > 0
	}, "ping", peer)
	if err == nil && rtt == 0 {
		err = errors.New(said)
	}
	return map[string]float64{"rtt_ms": float64(rtt) / 1e6}, err
}

func (n *node) identify(ctx context.Context, peer string) (any, error) {
	var who struct {
		AgentVersion string
		Protocols    []string
		Addresses    []string
	}
	err := until(ctx, func() (bool, error) {
		err := n.ask(ctx, &who, "id", peer)
		return len(who.Protocols) > 0, err
	})
	return map[string]any{"agent": who.AgentVersion, "protocols": who.Protocols, "addrs": who.Addresses}, err
}

// kubo dials whom mDNS has found, and nobody else has told it of anybody.
func (n *node) mdnsWait(ctx context.Context, peer string) (any, error) {
	var known struct{ Addrs map[string][]string }
	err := until(ctx, func() (bool, error) {
		err := n.ask(ctx, &known, "swarm/addrs")
		return len(known.Addrs[peer]) > 0, err
	})
	return map[string]any{"addrs": known.Addrs[peer]}, err
}

func (n *node) kadWait(ctx context.Context, peer string) error {
	type table struct {
		Buckets []struct{ Peers []struct{ ID string } }
	}
	return until(ctx, func() (bool, error) {
		there := false
		err := each(ctx, n, func(t table) bool {
			for _, bucket := range t.Buckets {
				for _, known := range bucket.Peers {
					there = there || known.ID == peer
				}
			}
			return there
		}, "stats/dht", "lan")
		return there, err
	})
}

func (n *node) findPeer(ctx context.Context, peer string) ([]string, error) {
	var addrs []string
	err := each(ctx, n, func(f found) bool {
		if f.Type == finalPeer {
			for _, response := range f.Responses {
				if response.ID == peer {
					addrs = response.Addrs
				}
			}
		}
		return len(addrs) > 0
	}, "routing/findpeer", peer)
	return addrs, err
}

// kubo provides what it has, so it is given what the key stands for.
func (n *node) provide(ctx context.Context, key, content string) error {
	body, err := n.open(ctx, []byte(content), "block/put")
	if err != nil {
		return err
	}
	defer body.Close()
	var put struct{ Key string }
	if err := json.NewDecoder(body).Decode(&put); err != nil {
		return err
	}
	if put.Key != key {
		return fmt.Errorf("the content is that of %s", put.Key)
	}
	return each(ctx, n, func(found) bool { return false }, "routing/provide", key)
}

func (n *node) findProviders(ctx context.Context, key string) ([]string, error) {
	providers := []string{}
	err := each(ctx, n, func(f found) bool {
		if f.Type == provider {
			for _, response := range f.Responses {
				if !slices.Contains(providers, response.ID) {
					providers = append(providers, response.ID)
				}
			}
		}
		return false
	}, "routing/findprovs", key)
	return providers, err
}

func (n *node) subscribe(topic string) error {
	body, err := n.open(context.Background(), nil, "pubsub/sub", multibase(topic))
	if err != nil {
		return err
	}
	go func() {
		defer body.Close()
		messages := json.NewDecoder(body)
		for {
			var m message
			if messages.Decode(&m) != nil {
				return
			}
			if data, err := fromMultibase(m.Data); err == nil {
				n.mutex.Lock()
				n.heard[topic] = append(n.heard[topic], message{From: m.From, Data: data})
				n.mutex.Unlock()
			}
		}
	}()
	return nil
}

func (n *node) publish(ctx context.Context, topic, data string) error {
	var peers struct{ Strings []string }
	err := until(ctx, func() (bool, error) {
		err := n.ask(ctx, &peers, "pubsub/peers", multibase(topic))
		return len(peers.Strings) > 0, err
	})
	if err != nil {
		return err
	}
	body, err := n.open(ctx, []byte(data), "pubsub/pub", multibase(topic))
	if err != nil {
		return err
	}
	return body.Close()
}

func (n *node) gossipWait(ctx context.Context, topic, data string) (any, error) {
	from := ""
	err := until(ctx, func() (bool, error) {
		n.mutex.Lock()
		defer n.mutex.Unlock()
		for _, m := range n.heard[topic] {
			if m.Data == data {
				from = m.From
			}
		}
		return from != "", nil
	})
	return map[string]string{"from": from}, err
}
