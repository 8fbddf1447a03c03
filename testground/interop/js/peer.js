// One node with Kademlia among the nodes of a LAN and gossipsub.
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import { circuitRelayServer, circuitRelayTransport } from '@libp2p/circuit-relay-v2'
import { gossipsub } from '@libp2p/gossipsub'
import { identify } from '@libp2p/identify'
import { kadDHT, passthroughMapper } from '@libp2p/kad-dht'
import { mdns } from '@libp2p/mdns'
import { peerIdFromString } from '@libp2p/peer-id'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { webSockets } from '@libp2p/websockets'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { CID } from 'multiformats/cid'

// How often to ask for a state of which there is no event.
const LOOK_MS = 20

export async function start (listen, withMdns, relay) {
  return new Peer(await createLibp2p(await options(listen, withMdns, relay)))
}

export async function options (listen, withMdns, relay) {
  return {
    // It holds back public addresses that nobody has confirmed, and nobody here could.
    addresses: { listen, appendAnnounce: listen },
    transports: [...await transports(listen), circuitRelayTransport()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    // Its pings would be in the way of those that are asked for: one at a time is allowed.
    connectionMonitor: { enabled: false },
    peerDiscovery: withMdns ? [mdns()] : [],
    services: {
      identify: identify(),
      ping: ping(),
      dht: kadDHT({
        protocol: '/ipfs/lan/kad/1.0.0',
        clientMode: false,
        // As a LAN wants it: private addresses stay.
        peerInfoMapper: passthroughMapper
      }),
      gossip: gossipsub({ msgIdFn: messageId }),
      ...(relay ? { relay: circuitRelayServer() } : {})
    }
  }
}

// QUIC is native and needs a newer Node than the rest, so only who asks for it loads it.
async function transports (listen) {
  if (listen.some(address => address.includes('/quic-v1'))) {
    const { quic } = await import('@chainsafe/libp2p-quic')
    return [quic()]
  }
  if (listen.some(address => address.endsWith('/ws'))) {
    return [webSockets()]
  }
  return [tcp()]
}

// The hash of the content, as all peers of the matrix name messages.
function messageId (message) {
  return createHash('sha256').update(message.data).digest().subarray(0, 16)
}

export class Peer {
  constructor (node) {
    this.node = node
    this.discovered = new Map()
    this.messages = []
    node.addEventListener('peer:discovery', ({ detail }) => {
      // Kademlia tells of peers as well; what counts is asked for only where that is idle.
      this.discovered.set(detail.id.toString(), detail.multiaddrs.map(String))
    })
    node.services.gossip.addEventListener('message', ({ detail }) => {
      const data = new TextDecoder().decode(detail.data)
      this.messages.push({ topic: detail.topic, data, from: detail.from.toString() })
    })
  }

  get id () {
    return this.node.peerId.toString()
  }

  addrs () {
    return this.node.getMultiaddrs().map(String)
  }

  versions (named = ['libp2p', '@libp2p/kad-dht', '@libp2p/gossipsub']) {
    const { dependencies } = JSON.parse(readFileSync(new URL('package.json', import.meta.url)))
    return [...named.map(name => `${name} ${dependencies[name]}`), `Node ${process.version}`]
  }

  async do (request, signal) {
    const id = request.peer && peerIdFromString(request.peer)
    const key = request.key && CID.parse(request.key)
    const { dht, gossip } = this.node.services
    switch (request.do) {
      case 'dial': {
        const connection = await this.node.dial(multiaddr(request.addr), { signal })
        return { peer: connection.remotePeer.toString() }
      }
      case 'reserve':
        // Listening over a relay is to have a reservation there.
        await this.node.components.transportManager.listen([multiaddr(`${request.addr}/p2p-circuit`)])
        await until(() => this.node.getMultiaddrs().some(isCircuit), 'a reservation', signal)
        return {}
      case 'ping':
        return { rtt_ms: await this.node.services.ping.ping(id, { signal }) }
      case 'identify':
        return this.identify(id, signal)
      case 'mdns-wait':
        return { addrs: await until(() => this.discovered.get(request.peer), 'mDNS', signal) }
      case 'kad-wait':
        await until(() => dht.routingTable.find(id, { signal }), 'the routing table', signal)
        return {}
      case 'find-peer': {
        const found = await this.node.peerRouting.findPeer(id, { signal })
        return { addrs: found.multiaddrs.map(String) }
      }
      case 'provide':
        await this.node.contentRouting.provide(key, { signal })
        return {}
      case 'find-providers': {
        const providers = []
        for await (const found of this.node.contentRouting.findProviders(key, { signal })) {
          providers.push(found.id.toString())
        }
        return { providers }
      }
      case 'subscribe':
        gossip.subscribe(request.topic)
        return {}
      case 'publish':
        await until(() => gossip.getSubscribers(request.topic).length > 0, 'a subscriber', signal)
        await gossip.publish(request.topic, new TextEncoder().encode(request.data))
        return {}
      case 'gossip-wait': {
        const is = message => message.topic === request.topic && message.data === request.data
        const { from } = await until(() => this.messages.find(is), 'the message', signal)
        return { from }
      }
    }
    throw new Error(`unknown: ${request.do}`)
  }

  async identify (id, signal) {
    const known = await until(async () => {
      const peer = await this.node.peerStore.get(id)
      return peer.metadata.has('AgentVersion') && peer.protocols.length > 0 && peer
    }, 'identify', signal)
    return {
      agent: new TextDecoder().decode(known.metadata.get('AgentVersion')),
      protocols: known.protocols,
      addrs: known.addresses.map(({ multiaddr }) => multiaddr.toString())
    }
  }
}

function isCircuit (address) {
  return address.toString().includes('/p2p-circuit')
}

async function until (look, what, signal) {
  while (true) {
    const found = await look()
    if (found) return found
    if (signal.aborted) throw new Error(`not in time: ${what}`)
    await new Promise(resolve => setTimeout(resolve, LOOK_MS))
  }
}
