use guid::Guid;
use lab::Lab;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::net::{Net, text};

#[test]
fn a_thousand_traces_end_at_the_numerically_closest_live_node() {
    if !Lab::available_or_skip("a_thousand_traces_end_at_the_numerically_closest_live_node") {
        return;
    }
    let net = Net::start(Lab::builder().nodes(8));
    net.until_settled(&[0, 1, 2, 3, 4, 5, 6, 7]);
    let guids: Vec<Guid> = (0..8).map(|node| net.guid(node)).collect();
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    for number in 0..1000 {
        let mut key = [0; 16];
        rng.fill_bytes(&mut key);
        let key = Guid::from_bytes(key);
        let trace = net.json(number % 8, &["overlay", "trace", &key.to_string()]);
        let hops = trace["hops"].as_array().expect("hops");
        let closest = guids
            .iter()
            .min_by(|a, b| key.cmp_distance(**a, **b))
            .expect("nodes");
        let last = hops.last().expect("a hop");
        assert_eq!(
            text(&last["contact"]["guid"]),
            closest.to_string(),
            "{trace}"
        );
        for hop in hops {
            let guid: Guid = text(&hop["contact"]["guid"]).parse().expect("a GUID");
            assert_eq!(
                hop["shared_prefix"],
                key.shared_prefix(guid, guid::Base::B4)
            );
        }
        for hop in &hops[1..] {
            assert!(
                hop["rtt_ms"].as_f64().is_some_and(|rtt| rtt > 0.0),
                "{trace}"
            );
        }
    }
}
