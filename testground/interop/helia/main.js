// A Helia peer. What it has in common with the one of js-libp2p lies beside it: `line.js`, `peer.js`.
import { start } from './helia.js'
import { serve } from './line.js'

await serve(start)
