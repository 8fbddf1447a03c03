"""One host with Kademlia among the nodes of a LAN and gossipsub."""

import contextlib
import hashlib
import importlib.metadata
import logging
import platform
import sys

import trio
from libp2p import create_yamux_muxer_option, generate_new_ed25519_identity, new_host
from libp2p.custom_types import TProtocol
from libp2p.discovery.events.peerDiscovery import peerDiscovery
from libp2p.discovery.mdns.mdns import MDNSDiscovery
from libp2p.host.exceptions import StreamFailure
from libp2p.host.ping import PingService
from libp2p.identity.identify import identify
from libp2p.identity.identify.pb.identify_pb2 import Identify
from libp2p.identity.identify_push.identify_push import update_peerstore_from_identify
from libp2p.kad_dht import common, kad_dht, peer_routing, provider_store, value_store
from libp2p.network.stream.exceptions import StreamError
from libp2p.peer.id import ID
from libp2p.peer.peerinfo import info_from_p2p_addr
from libp2p.pubsub.gossipsub import GossipSub
from libp2p.pubsub.pubsub import Pubsub
from libp2p.relay.circuit_v2 import PROTOCOL_ID as CIRCUIT_ID
from libp2p.relay.circuit_v2 import CircuitV2Protocol, CircuitV2Transport
from libp2p.relay.circuit_v2.config import RelayConfig
from libp2p.tools.anyio_service import background_trio_service
from libp2p.transport.quic.stream import QUICStream, StreamState
from libp2p.utils.varint import read_length_prefixed_protobuf
from multiaddr import Multiaddr

# The library has one name for its protocol, that of the public network.
for module in (common, kad_dht, peer_routing, provider_store, value_store):
    module.PROTOCOL_ID = TProtocol("/ipfs/lan/kad/1.0.0")


async def stop_sending(stream, error_code):
    """What the peer wants no more of is one half of a stream (RFC 9000, 3.5). The library gives up
    both, and loses an answer that the peer sent before it was done with the stream."""
    stream._write_closed = True
    stream._backpressure_event.set()
    stream._state = StreamState.CLOSED if stream._read_closed else StreamState.WRITE_CLOSED
    # Of a half that has ended already there is nothing to reset.
    with contextlib.suppress(ValueError, AssertionError):
        stream._connection._quic.reset_stream(int(stream.stream_id), error_code)
        await stream._connection._transmit()


QUICStream.handle_stop_sending = stop_sending

# How often to ask for a state of which there is no event.
LOOK = 0.02


def versions():
    named = f"py-libp2p {importlib.metadata.version('libp2p')}"
    return [named, f"Python {platform.python_version()}"]


def message_id(message):
    """The hash of the content, as all peers of the matrix name messages."""
    return hashlib.sha256(message.data).digest()[:16]


async def run(listen, with_mdns, relay, serve):
    addrs = [Multiaddr(addr) for addr in listen]
    host = new_host(
        key_pair=generate_new_ed25519_identity(),
        muxer_opt=create_yamux_muxer_option(),
        listen_addrs=addrs,
        enable_quic=any("/quic-v1" in addr for addr in listen),
        # Private addresses stay: this is a LAN.
        disable_identify_address_discovery=True,
    )
    router = GossipSub(
        protocols=[TProtocol("/meshsub/1.1.0"), TProtocol("/meshsub/1.0.0")],
        degree=6,
        degree_low=4,
        degree_high=12,
    )
    pubsub = Pubsub(host, router, strict_signing=True, msg_id_constructor=message_id)
    dht = kad_dht.KadDHT(host, kad_dht.DHTMode.SERVER)
    circuits = CircuitV2Protocol(host, allow_hop=relay)
    async with (
        host.run(listen_addrs=addrs),
        background_trio_service(pubsub),
        background_trio_service(router),
        background_trio_service(dht),
        background_trio_service(circuits),
    ):
        await pubsub.wait_until_ready()
        running = Peer(host, dht, pubsub, circuits, listen)
        if with_mdns:
            running.discover()
        await serve(running)


class Peer:
    def __init__(self, host, dht, pubsub, circuits, listen):
        self.host = host
        self.dht = dht
        self.pubsub = pubsub
        self.listen = listen
        self.discovered = {}
        self.subscriptions = {}
        self.ping = PingService(host)
        self.circuits = CircuitV2Transport(host, circuits, RelayConfig())

    @property
    def id(self):
        return str(self.host.get_id())

    def addrs(self):
        return [f"{addr}/p2p/{self.id}" for addr in self.listen]

    def discover(self):
        def found(info):
            self.discovered[str(info.peer_id)] = [str(addr) for addr in info.addrs]

        peerDiscovery.register_peer_discovered_handler(found)
        port = int(self.listen[0].split("/")[4])
        MDNSDiscovery(
            self.host.get_network(), port=port, listen_addrs=self.listen, host=self.host
        ).start()

    async def do(self, request):
        match request["do"]:
            case "dial":
                return {"peer": str(await self.dial(Multiaddr(request["addr"])))}
            case "reserve":
                relay = await self.dial(Multiaddr(request["addr"]))
                stream = await self.host.new_stream(relay, [CIRCUIT_ID])
                # The library only writes down why it gives up.
                with noted("libp2p.relay.circuit_v2.transport") as errors:
                    # The nursery renews reservations, which outlive no test.
                    async with trio.open_nursery() as nursery:
                        reserved = await self.circuits.reserve(stream, relay, nursery)
                        nursery.cancel_scope.cancel()
                if reserved:
                    return {}
                raise LookupError(f"the relay gave no reservation: {'; '.join(errors)}")
            case "ping":
                rtts = await self.ping.ping(ID.from_string(request["peer"]))
                return {"rtt_ms": rtts[0]}
            case "identify":
                return await self.identify(ID.from_string(request["peer"]))
            case "mdns-wait":
                return {"addrs": await until(lambda: self.discovered.get(request["peer"]))}
            case "kad-wait":
                peer = ID.from_string(request["peer"])
                # Whom it has only dialled, or was dialled by, the library leaves to us.
                await self.identify(peer)
                await self.dht.add_peer(peer)
                await until(lambda: self.dht.routing_table.peer_in_table(peer))
                return {}
            case "find-peer":
                info = await self.dht.find_peer(ID.from_string(request["peer"]))
                if info is None:
                    raise LookupError("not found")
                return {"addrs": [str(addr) for addr in info.addrs]}
            case "provide":
                if not await self.dht.provide(request["key"]):
                    raise LookupError("nobody took the record")
                return {}
            case "find-providers":
                found = await self.dht.find_providers(request["key"])
                return {"providers": [str(info.peer_id) for info in found]}
            case "subscribe":
                topic = request["topic"]
                self.subscriptions[topic] = await self.pubsub.subscribe(topic)
                return {}
            case "publish":
                await until(lambda: self.pubsub.peer_topics.get(request["topic"]))
                await self.pubsub.publish(request["topic"], request["data"].encode())
                return {}
            case "gossip-wait":
                while True:
                    message = await self.subscriptions[request["topic"]].get()
                    if message.data == request["data"].encode():
                        return {"from": str(ID(message.from_id))}
        raise LookupError(f"unknown: {request['do']}")

    async def dial(self, addr):
        # The library's swarm takes no circuit addresses; its transport for them does.
        if "/p2p-circuit" in str(addr):
            _, peer = self.circuits.parse_circuit_ma(addr)
            await self.circuits.dial(addr)
            return peer
        info = info_from_p2p_addr(addr)
        await self.host.connect(info)
        return info.peer_id

    async def identify(self, peer):
        """Asks with the library's own messages: it keeps no agent, and where its stream fails
        to open, as some do over QUIC, it does not ask again."""
        while True:
            try:
                stream = await self.host.new_stream(peer, [identify.ID])
                answer = await read_length_prefixed_protobuf(stream, use_varint_format=True)
                break
            except (StreamFailure, StreamError):
                await trio.sleep(LOOK)
        await stream.close()
        said = Identify()
        said.ParseFromString(answer)
        store = self.host.get_peerstore()
        await update_peerstore_from_identify(store, peer, said)
        return {
            "agent": said.agent_version,
            "protocols": list(said.protocols),
            "addrs": [str(addr) for addr in store.addrs(peer)],
        }


@contextlib.contextmanager
def noted(name):
    """What the library writes down meanwhile under a name."""
    noted = []
    handler = logging.Handler(logging.WARNING)
    # Of many errors the message is empty.
    handler.emit = lambda record: noted.append(f"{record.getMessage()} {sys.exception()!r}")
    log = logging.getLogger(name)
    log.addHandler(handler)
    try:
        yield noted
    finally:
        log.removeHandler(handler)


async def until(look):
    while not (found := look()):
        await trio.sleep(LOOK)
    return found
