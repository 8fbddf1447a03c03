// What js-libp2p expects of its runtime and Node 20 has not got yet.
import WebSocket from 'ws'

globalThis.WebSocket ??= WebSocket

Promise.withResolvers ??= function () {
  let resolve, reject
  const promise = new this((...both) => { [resolve, reject] = both })
  return { promise, resolve, reject }
}
