//! What a dialler says on its stdout (X23).

use std::time::Duration;

use super::environment::Dialect;

/// What was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measured {
    /// From the dial until the first ping was answered.
    pub handshake_plus_one_rtt: Duration,
    /// The round trip of that ping.
    pub ping: Duration,
}

impl Measured {
    /// The lines for stdout, the last one ended; durations in milliseconds.
    pub fn text(&self, dialect: Dialect) -> String {
        let ms = |duration: Duration| duration.as_secs_f64() * 1000.0;
        let (handshake, ping) = (ms(self.handshake_plus_one_rtt), ms(self.ping));
        match dialect {
            // The three l are those of the contract.
            Dialect::TestPlans => format!(
                "{}\n",
                serde_json::json!({
                    "handshakePlusOneRTTMillis": handshake,
                    "pingRTTMilllis": ping,
                })
            ),
            Dialect::Unified => format!(
                "latency:\n  handshake_plus_one_rtt: {handshake:.3}\n  ping_rtt: {ping:.3}\n  unit: ms\n"
            ),
        }
    }
}
