// The line protocol of docs/specs/interop-peer.md, for a peer that `start` makes.
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'

export async function serve (start) {
  const { values } = parseArgs({
    options: {
      listen: { type: 'string', multiple: true, default: [] },
      mdns: { type: 'boolean', default: false },
      relay: { type: 'boolean', default: false }
    }
  })
  const peer = await start(values.listen, values.mdns, values.relay)
  const write = (line) => process.stdout.write(JSON.stringify(line) + '\n')
  write({ ready: true, peer: peer.id, addrs: peer.addrs(), versions: peer.versions() })
  for await (const line of createInterface({ input: process.stdin })) {
    const request = JSON.parse(line)
    try {
      const ok = await peer.do(request, AbortSignal.timeout(request.within_ms))
      write({ id: request.id, ok: ok ?? {} })
    } catch (error) {
      write({ id: request.id, error: String(error?.message || error) })
    }
  }
  process.exit(0)
}
