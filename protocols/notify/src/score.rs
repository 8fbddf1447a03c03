//! What a peer is worth that sends what is no good (E7).

use std::time::Duration;

use libp2p_gossipsub::{
    PeerScoreParams, PeerScoreThresholds, TopicScoreParams, score_parameter_decay,
};

/// What the square of the number of forged, malformed or oversized statements counts.
pub const INVALID_WEIGHT: f64 = -10.0;

/// Below this nothing is taken from a peer: after the third such statement.
pub const GRAYLIST: f64 = -80.0;

/// How long it takes until they are forgotten.
const FORGOTTEN: Duration = Duration::from_secs(600);

/// Grafts before their time that are nobody's fault, as where both sides change at once.
const CLUMSY: f64 = 6.0;

/// For all topics: nothing is counted against a peer but what it does. Many nodes behind one
/// address are usual here, and a slow one is no bad one.
pub(crate) fn peer() -> (PeerScoreParams, PeerScoreThresholds) {
    let params = PeerScoreParams {
        ip_colocation_factor_weight: 0.0,
        behaviour_penalty_weight: -1.0,
        behaviour_penalty_threshold: CLUMSY,
        slow_peer_weight: 0.0,
        topic_score_cap: 100.0,
        ..PeerScoreParams::default()
    };
    let thresholds = PeerScoreThresholds {
        gossip_threshold: -20.0,
        publish_threshold: -50.0,
        graylist_threshold: GRAYLIST,
        ..PeerScoreThresholds::default()
    };
    (params, thresholds)
}

/// For a shard: few messages come, so none is missed where none comes.
pub(crate) fn shard() -> TopicScoreParams {
    TopicScoreParams {
        topic_weight: 1.0,
        time_in_mesh_weight: 0.0,
        first_message_deliveries_weight: 0.1,
        first_message_deliveries_cap: 100.0,
        mesh_message_deliveries_weight: 0.0,
        mesh_failure_penalty_weight: 0.0,
        invalid_message_deliveries_weight: INVALID_WEIGHT,
        invalid_message_deliveries_decay: score_parameter_decay(FORGOTTEN),
        ..TopicScoreParams::default()
    }
}
