//! A body from a peer (Q35).

use std::{sync::Arc, time::SystemTime};

use http::{StatusCode, Version};
use libp2p_swarm::Stream;

use super::{
    Trust, body,
    exchange::{Asking, Unanswered},
    message::{Head, Target},
    node::Node,
};
use crate::{
    arriving::Reading,
    digest::{self, Known},
    headers,
    keeper::{self, From, New},
    wanted::Wanted,
};

/// Starts to keep what a peer sends, by the rules for what an origin sends.
///
/// # Errors
/// Why it is not taken.
pub(super) async fn body(
    node: &Arc<Node>,
    stream: Stream,
    asking: &Asking,
    url: Option<String>,
    head: &Head,
) -> Result<Reading, Unanswered> {
    let nonsense = |why: &str| Unanswered::Nonsense(why.to_owned());
    let offered;
    let wanted: &Wanted = match &asking.wanted {
        Some(wanted) => wanted,
        None => {
            let fields = Vec::new();
            let url = url.ok_or(nonsense("it does not say of what URL it is"))?;
            let wanted = Target { url, fields }.wanted();
            offered = wanted.filter(|wanted| wanted.plain_object() == asking.object);
            offered.as_ref().ok_or(nonsense("it is of another URL"))?
        }
    };
    let mut response = head.response().ok_or(nonsense("a head that is none"))?;
    let is_whole = response.status() == StatusCode::OK;
    let fields = response.headers_mut();
    let verified = match Known::of_url(&wanted.url) {
        // A coded body has another digest than its URL says, and so could be anything.
        Some(_) if is_whole && !digest::is_plain(fields) => {
            return Err(Unanswered::Useless("a body that is coded"));
        }
        Some(_) => is_whole,
        None => false,
    };
    if node.settings.trust != Trust::All && !verified {
        return Err(Unanswered::Useless("nothing shows that it is right"));
    }
    headers::add_via(fields, Version::HTTP_11, &node.config.name);
    let meta = node.keeper.meta(wanted, &response, true, true);
    let (meta, promise) = meta.ok_or(Unanswered::Useless("it cannot be kept here"))?;
    let fresh = meta.policy.time_to_live(SystemTime::now());
    if fresh.is_zero() || !meta.shared {
        return Err(Unanswered::Useless("it may not be shared, or not any more"));
    }
    let (parts, ()) = response.into_parts();
    let new = New {
        from: From::Peer,
        meta,
        promise,
        length: keeper::content_length(&parts.headers),
        head: (parts.status, parts.headers),
        body: body::receive(stream),
    };
    let begun = node.keeper.begin(new).await;
    begun
        .map(|(reading, _)| reading)
        .map_err(|_| Unanswered::Useless("the disk has failed"))
}
