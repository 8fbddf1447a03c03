package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ipfs/go-cid"
	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/client"
	"github.com/libp2p/go-libp2p/p2p/protocol/ping"
	ma "github.com/multiformats/go-multiaddr"
)

// Does what one line asks for.
func (n *node) do(ctx context.Context, req request) (any, error) {
	switch req.Do {
	case "dial":
		return n.dial(ctx, req.Addr)
	case "reserve":
		return struct{}{}, n.reserve(ctx, req.Addr)
	case "provide":
		key, err := cid.Decode(req.Key)
		if err != nil {
			return nil, err
		}
		return struct{}{}, n.kad.Provide(ctx, key, true)
	case "find-providers":
		return n.findProviders(ctx, req.Key)
	case "subscribe":
		return struct{}{}, n.subscribe(req.Topic)
	case "publish":
		return struct{}{}, n.publish(ctx, req.Topic, req.Data)
	case "gossip-wait":
		return n.gossipWait(ctx, req.Topic, req.Data)
	}
	id, err := peer.Decode(req.Peer)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", req.Do, err)
	}
	switch req.Do {
	case "ping":
		return n.ping(ctx, id)
	case "identify":
		return n.identify(ctx, id)
	case "mdns-wait":
		return n.mdnsWait(ctx, id)
	case "kad-wait":
		return struct{}{}, n.kadWait(ctx, id)
	case "find-peer":
		info, err := n.kad.FindPeer(ctx, id)
		return map[string]any{"addrs": texts(info.Addrs)}, err
	}
	return nil, fmt.Errorf("unknown: %s", req.Do)
}

func (n *node) dial(ctx context.Context, addr string) (any, error) {
	info, err := peer.AddrInfoFromString(addr)
	if err != nil {
		return nil, err
	}
	return map[string]any{"peer": info.ID.String()}, n.host.Connect(ctx, *info)
}

// Has others reach this peer over a relay.
func (n *node) reserve(ctx context.Context, addr string) error {
	relay, err := peer.AddrInfoFromString(addr)
	if err != nil {
		return err
	}
	_, err = client.Reserve(ctx, n.host, *relay)
	return err
}

func (n *node) ping(ctx context.Context, id peer.ID) (any, error) {
	select {
	case result := <-ping.Ping(ctx, n.host, id):
		return map[string]any{"rtt_ms": float64(result.RTT.Microseconds()) / 1000}, result.Error
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (n *node) identify(ctx context.Context, id peer.ID) (any, error) {
	for {
		agent, err := n.host.Peerstore().Get(id, "AgentVersion")
		if err == nil {
			protocols, err := n.host.Peerstore().GetProtocols(id)
			addrs := texts(n.host.Peerstore().Addrs(id))
			return map[string]any{"agent": agent, "protocols": protocols, "addrs": addrs}, err
		}
		select {
		case <-n.identified.Out():
		case <-ctx.Done():
			return nil, errors.New("not identified in time")
		}
	}
}

func (n *node) mdnsWait(ctx context.Context, id peer.ID) (any, error) {
	for {
		if addrs, found := n.discovered[id]; found {
			return map[string]any{"addrs": texts(addrs)}, nil
		}
		select {
		case info := <-n.found:
			n.discovered[info.ID] = info.Addrs
		case <-ctx.Done():
			return nil, errors.New("not found by mDNS in time")
		}
	}
}

// Waits until the peer is in the routing table.
func (n *node) kadWait(ctx context.Context, id peer.ID) error {
	// The table tells of nobody who enters, so it is asked.
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for n.kad.RoutingTable().Find(id) == "" {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return errors.New("not in the routing table in time")
		}
	}
	return nil
}

func (n *node) findProviders(ctx context.Context, key string) (any, error) {
	decoded, err := cid.Decode(key)
	if err != nil {
		return nil, err
	}
	providers := []string{}
	found, err := n.kad.FindProviders(ctx, decoded)
	for _, info := range found {
		providers = append(providers, info.ID.String())
	}
	return map[string]any{"providers": providers}, err
}

func (n *node) subscribe(name string) error {
	joined, err := n.gossip.Join(name)
	if err != nil {
		return err
	}
	sub, err := joined.Subscribe()
	if err != nil {
		return err
	}
	n.topics[name] = &topic{joined, sub}
	return nil
}

// Publishes once somebody else is known to listen.
func (n *node) publish(ctx context.Context, name, data string) error {
	topic, found := n.topics[name]
	if !found {
		return errors.New("not subscribed")
	}
	return topic.Publish(ctx, []byte(data), pubsub.WithReadiness(pubsub.MinTopicSize(1)))
}

func (n *node) gossipWait(ctx context.Context, name, data string) (any, error) {
	topic, found := n.topics[name]
	if !found {
		return nil, errors.New("not subscribed")
	}
	for {
		message, err := topic.sub.Next(ctx)
		if err != nil {
			return nil, err
		}
		if string(message.Data) == data {
			return map[string]any{"from": message.GetFrom().String()}, nil
		}
	}
}

func texts(addrs []ma.Multiaddr) []string {
	list := []string{}
	for _, addr := range addrs {
		list = append(list, addr.String())
	}
	return list
}
