//! A body from a peer (Q35).

use std::{sync::Arc, time::SystemTime};

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version, header};
use libp2p_swarm::Stream;

use super::{
    Trust, body,
    exchange::{Asking, Unanswered},
    message::{Head, Target},
    node::Node,
};
use crate::{
    arriving::Reading,
    digest, headers,
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
    version: u64,
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
    let verified = match &wanted.known {
        // A coded body has another digest than its URL says, and so could be anything.
        Some(_) if is_whole && !digest::is_plain(fields) => {
            return Err(Unanswered::Useless("a body that is coded"));
        }
        // Of unknown length it could not be held back until it has been checked.
        Some(_) if is_whole && head.length.is_none() => {
            return Err(Unanswered::Useless("a body of unknown length"));
        }
        Some(_) => is_whole,
        None => false,
    };
    if node.settings.trust != Trust::All && !verified {
        return Err(Unanswered::Useless("nothing shows that it is right"));
    }
    let believed = node.settings.trust == Trust::All;
    if !believed {
        believable(fields);
    }
    headers::add_via(fields, Version::HTTP_11, &node.config.name);
    let meta = node.keeper.meta(wanted, &response, true, true);
    let (mut meta, promise) = meta.map_err(|_| Unanswered::Useless("it cannot be kept here"))?;
    if !believed {
        // What is left of its fields does not make up the number that others know it by.
        meta.version = version;
    }
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
        hurry: true,
    };
    let begun = node.keeper.begin(new).await;
    begun
        .map(|(reading, _)| reading)
        .map_err(|_| Unanswered::Useless("the disk has failed"))
}

/// Fields of an answer whose body is checked that are taken from a peer all the same (Q35).
const BELIEVABLE: [HeaderName; 7] = [
    header::AGE,
    header::CACHE_CONTROL,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::DATE,
    header::ETAG,
    header::LAST_MODIFIED,
];

/// Types that no browser shows or runs: of container images, and of archives.
const HARMLESS: [&str; 6] = [
    "application/vnd.oci.",
    "application/vnd.docker.",
    "application/gzip",
    "application/x-gzip",
    "application/x-xz",
    "application/zstd",
];

/// Leaves of a head what cannot do harm when it is a lie: no digest covers it.
fn believable(fields: &mut HeaderMap) {
    let names: Vec<HeaderName> = fields.keys().cloned().collect();
    for name in names.iter().filter(|name| !BELIEVABLE.contains(name)) {
        fields.remove(name);
    }
    let harmless = fields.get(header::CONTENT_TYPE).is_some_and(|value| {
        let text = value.to_str().unwrap_or_default().to_ascii_lowercase();
        // Such a list of types could be read as another.
        !text.contains(',') && HARMLESS.iter().any(|start| text.starts_with(start))
    });
    if !harmless || fields.get_all(header::CONTENT_TYPE).iter().count() > 1 {
        let bytes = HeaderValue::from_static("application/octet-stream");
        fields.insert(header::CONTENT_TYPE, bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left_of(fields: &[(&str, &str)]) -> HeaderMap {
        let mut left = HeaderMap::new();
        for (name, value) in fields {
            let name: HeaderName = name.parse().unwrap();
            left.append(name, value.parse().unwrap());
        }
        believable(&mut left);
        left
    }

    #[test]
    fn of_a_head_that_may_be_a_lie_only_what_is_harmless_is_left() {
        let left = left_of(&[
            ("content-type", "text/html"),
            ("refresh", "0; url=http://evil.example/"),
            ("content-disposition", "attachment; filename=a.exe"),
            ("access-control-allow-origin", "*"),
            ("alt-svc", "h2=\"evil.example:443\""),
            ("docker-content-digest", "sha256:00"),
            ("cache-status", "hedgerow; hit"),
            ("vary", "accept"),
            ("cache-control", "max-age=600"),
            ("etag", "\"one\""),
        ]);
        assert_eq!(left.len(), 3, "{left:?}");
        assert_eq!(left["content-type"], "application/octet-stream");
        assert_eq!(left["cache-control"], "max-age=600");
        for (said, kept) in [
            ("application/vnd.oci.image.manifest.v1+json", true),
            ("application/gzip", true),
            ("image/svg+xml", false),
            ("application/gzip, text/html", false),
        ] {
            let left = left_of(&[("content-type", said)]);
            assert_eq!(left["content-type"] == said, kept, "{said}");
        }
        let two = [
            ("content-type", "application/gzip"),
            ("content-type", "text/html"),
        ];
        let left = left_of(&two);
        assert_eq!(left.get_all("content-type").iter().count(), 1);
        assert_eq!(left["content-type"], "application/octet-stream");
    }
}
