// Helia on the libp2p node of `peer.js`: the same protocols, and blocks by bitswap.
import { withBitswap } from '@helia/bitswap'
import { withLibp2pLight } from '@helia/libp2p'
import { unixfs } from '@helia/unixfs'
import { createHeliaLight } from 'helia'
import { CID } from 'multiformats/cid'
import { read, write } from './files.js'
import { options, Peer } from './peer.js'

// The light one has neither bootstrap peers nor gateways nor delegated routers.
export async function start (listen, withMdns, relay) {
  const helia = withBitswap(withLibp2pLight(createHeliaLight(), await options(listen, withMdns, relay)))
  await helia.start()
  return new HeliaPeer(helia)
}

class HeliaPeer extends Peer {
  constructor (helia) {
    super(helia.libp2p)
    this.helia = helia
    this.files = unixfs(helia)
  }

  versions () {
    return super.versions(['helia', '@helia/bitswap', '@helia/unixfs', 'libp2p', '@libp2p/kad-dht'])
  }

  async do (request, signal) {
    switch (request.do) {
      case 'add': {
        const cid = await read(this.files, request.path, signal)
        await this.helia.routing.provide(cid, { signal })
        return { cid: cid.toString() }
      }
      case 'fetch':
        await write(this.files, CID.parse(request.key), request.path, signal)
        return {}
      default:
        return super.do(request, signal)
    }
  }
}
