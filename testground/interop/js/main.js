// A js-libp2p peer.
import './runtime.js'
import { serve } from './line.js'

// Only now: what it loads expects what `runtime.js` has made up for.
const { start } = await import('./peer.js')
await serve(start)
