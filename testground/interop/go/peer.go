package main

import (
	"context"
	"crypto/sha256"
	"fmt"

	"github.com/libp2p/go-libp2p"
	dht "github.com/libp2p/go-libp2p-kad-dht"
	pubsub "github.com/libp2p/go-libp2p-pubsub"
	pubsub_pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/discovery/mdns"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// One host with Kademlia among the nodes of a LAN and gossipsub.
type node struct {
	host       host.Host
	kad        *dht.IpfsDHT
	gossip     *pubsub.PubSub
	identified event.Subscription
	found      chan peer.AddrInfo
	discovered map[peer.ID][]ma.Multiaddr
	topics     map[string]*topic
}

type topic struct {
	*pubsub.Topic
	sub *pubsub.Subscription
}

// HandlePeerFound takes what mDNS has found; nobody is dialled for it.
func (n *node) HandlePeerFound(info peer.AddrInfo) {
	n.found <- info
}

func start(ctx context.Context, listen []string, withMdns, relay bool) (*node, error) {
	options := []libp2p.Option{libp2p.ListenAddrStrings(listen...)}
	if relay {
		// A relay waits until it knows that it is public, which nobody here could tell it.
		options = append(options, libp2p.EnableRelayService(), libp2p.ForceReachabilityPublic())
	}
	h, err := libp2p.New(options...)
	if err != nil {
		return nil, err
	}
	identified, err := h.EventBus().Subscribe(new(event.EvtPeerIdentificationCompleted))
	if err != nil {
		return nil, err
	}
	kad, err := lanDht(h)
	if err != nil {
		return nil, err
	}
	gossip, err := pubsub.NewGossipSub(ctx, h, pubsub.WithMessageIdFn(messageID))
	if err != nil {
		return nil, err
	}
	n := &node{
		host: h, kad: kad, gossip: gossip, identified: identified,
		found:      make(chan peer.AddrInfo, 1024),
		discovered: map[peer.ID][]ma.Multiaddr{},
		topics:     map[string]*topic{},
	}
	if withMdns {
		if err := mdns.NewMdnsService(h, "", n).Start(); err != nil {
			return nil, err
		}
	}
	return n, nil
}

// As the LAN half of the dual DHT that kubo runs; there are no bootstrap peers.
func lanDht(h host.Host) (*dht.IpfsDHT, error) {
	return dht.New(h,
		dht.Mode(dht.ModeServer),
		dht.ProtocolExtension("/lan"),
		dht.QueryFilter(dht.PrivateQueryFilter),
		dht.RoutingTableFilter(dht.PrivateRoutingTableFilter),
		dht.AddressFilter(func(addrs []ma.Multiaddr) []ma.Multiaddr {
			return ma.FilterAddrs(addrs, func(a ma.Multiaddr) bool { return !manet.IsIPLoopback(a) })
		}),
		dht.BootstrapPeers(),
	)
}

// The hash of the content, as all peers of the matrix name messages.
func messageID(message *pubsub_pb.Message) string {
	sum := sha256.Sum256(message.GetData())
	return string(sum[:16])
}

func (n *node) addrs() []string {
	var closed []string
	for _, addr := range n.host.Addrs() {
		closed = append(closed, fmt.Sprintf("%s/p2p/%s", addr, n.host.ID()))
	}
	return closed
}
