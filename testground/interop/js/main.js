// A js-libp2p peer that speaks the line protocol of docs/specs/interop-peer.md.
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import './runtime.js'

const { start } = await import('./peer.js')
const { values } = parseArgs({
  options: {
    listen: { type: 'string', multiple: true, default: [] },
    mdns: { type: 'boolean', default: false }
  }
})
const peer = await start(values.listen, values.mdns)
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
