//! What nodes say to each other about objects (Q33).

use std::time::SystemTime;

use guid::Guid;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use libp2p_identity::PeerId;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_bytes::ByteBuf;
use webcache_core::{Copied, MAX_DELEGATES, MAX_OFFERED, Told};

use crate::{
    store::Meta,
    wanted::{CARRIED, MAX_FIELDS, MAX_URL, Wanted},
};

/// The longest question: an offer of [`MAX_OFFERED`] objects, each with all its delegates and
/// their addresses.
pub(crate) const MAX_QUESTION: usize = 192 * 1024;

/// The longest answer: an origin's head of 64 KiB, and what it is wrapped in.
pub(crate) const MAX_ANSWER: usize = 128 * 1024;

/// Bytes of a body in one frame.
pub(crate) const MAX_CHUNK: usize = 64 * 1024;

/// Most fields of an answer.
const MAX_ANSWER_FIELDS: usize = 256;

/// A node, and where it says it can be dialled: in the overlay's encoding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Node {
    pub(crate) peer: PeerId,
    pub(crate) addrs: ByteBuf,
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Target {
    pub(crate) url: String,
    /// Of the request, those that an answer that is shared may vary with.
    pub(crate) fields: Vec<(String, ByteBuf)>,
}

/// An object that has another home now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Offer {
    pub(crate) object: Guid,
    pub(crate) copy: Copied,
    pub(crate) delegates: Vec<Node>,
}

/// The first frame of a stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Question {
    /// To the home: the object, please.
    Get {
        target: Target,
        version: Option<u64>,
        without: Option<PeerId>,
        /// Where the asker can be dialled, should it become a delegate.
        addrs: ByteBuf,
    },
    /// To a delegate.
    Fetch {
        target: Target,
        version: Option<u64>,
    },
    /// To the former home, of what it offered.
    Take { object: Guid },
    /// What came of asking the origin.
    Told { object: Guid, outcome: Told },
    /// What the receiver is the home of now.
    Offer { objects: Vec<Offer> },
}

/// What comes back: [`Answer::Wait`] or nothing, then one of the others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Answer {
    /// It takes a while.
    Wait,
    /// The asker's copy is right, and this is its head now.
    Current { copy: Copied, head: Head },
    /// Here it is: the body follows, in frames of at most [`MAX_CHUNK`] bytes, an empty one last.
    Object {
        copy: Copied,
        hit: bool,
        /// Of what URL, where the question was [`Question::Take`].
        url: Option<String>,
        head: Head,
    },
    /// That one has it.
    Redirect { delegate: Node },
    /// The asker is to ask the origin, and to say what came of it where `tell` says so.
    Origin { tell: bool },
    /// It is not here.
    Gone,
    /// Noted.
    Done,
}

/// Status and fields of an answer. Empty where a home knows only how long it is fresh.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Head {
    pub(crate) status: u16,
    pub(crate) fields: Vec<(String, ByteBuf)>,
    /// Bytes of the body, where they are known.
    pub(crate) length: Option<u64>,
}

/// What a peer said breaks a bound, or is none of what is said.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Nonsense {
    #[error(transparent)]
    Encoding(#[from] wire::DecodeError),
    #[error("{0}")]
    Bound(&'static str),
}

/// Reads a value that keeps to its bounds.
pub(crate) fn decode<T: DeserializeOwned + Bounded>(frame: &[u8]) -> Result<T, Nonsense> {
    let value: T = wire::decode(frame)?;
    value.check()?;
    Ok(value)
}

/// What has bounds beside that of its frame.
pub(crate) trait Bounded {
    fn check(&self) -> Result<(), Nonsense>;
}

fn within(is: bool, what: &'static str) -> Result<(), Nonsense> {
    match is {
        true => Ok(()),
        false => Err(Nonsense::Bound(what)),
    }
}

impl Bounded for Question {
    fn check(&self) -> Result<(), Nonsense> {
        match self {
            Question::Get { target, addrs, .. } => {
                within(addrs.len() <= overlay_core::MAX_ADDRS, "long addresses")?;
                target.check()
            }
            Question::Fetch { target, .. } => target.check(),
            Question::Take { .. } | Question::Told { .. } => Ok(()),
            Question::Offer { objects } => {
                within(objects.len() <= MAX_OFFERED, "too many objects")?;
                let mut delegates = objects.iter().map(|object| object.delegates.len());
                within(
                    delegates.all(|count| count <= MAX_DELEGATES),
                    "too many delegates",
                )?;
                let mut delegates = objects.iter().flat_map(|object| &object.delegates);
                let short = delegates.all(|node| node.addrs.len() <= overlay_core::MAX_ADDRS);
                within(short, "long addresses")
            }
        }
    }
}

impl Bounded for Answer {
    fn check(&self) -> Result<(), Nonsense> {
        match self {
            Answer::Current { head, .. } | Answer::Object { head, .. } => {
                within(head.fields.len() <= MAX_ANSWER_FIELDS, "too many fields")
            }
            Answer::Redirect { delegate } => within(
                delegate.addrs.len() <= overlay_core::MAX_ADDRS,
                "long addresses",
            ),
            Answer::Wait | Answer::Origin { .. } | Answer::Gone | Answer::Done => Ok(()),
        }
    }
}

impl Target {
    pub(crate) fn new(wanted: &Wanted) -> Target {
        let fields = wanted.carried().into_iter();
        Target {
            url: wanted.text.clone(),
            fields: fields.map(|(name, value)| (name, value.into())).collect(),
        }
    }

    fn check(&self) -> Result<(), Nonsense> {
        within(self.url.len() <= MAX_URL, "a long URL")?;
        within(self.fields.len() <= CARRIED.len(), "too many fields")?;
        let sizes = self.fields.iter().map(|(_, value)| value.len());
        within(sizes.sum::<usize>() <= MAX_FIELDS, "long fields")
    }

    /// As the proxy would see it, if it is what a peer may ask for: a URL in its one
    /// spelling, without a query, and no fields but those.
    pub(crate) fn wanted(&self) -> Option<Wanted> {
        let mut request = http::Request::builder().uri(&self.url);
        for (name, value) in &self.fields {
            let known = CARRIED.iter().find(|known| known.as_str() == name)?;
            request = request.header(known, HeaderValue::from_bytes(value).ok()?);
        }
        let request = request.body(()).ok()?;
        let url = crate::request::url(request.uri()).ok()?;
        let url = crate::proxy::canonical(url);
        let (parts, ()) = request.into_parts();
        let wanted = Wanted::new(url, parts);
        (wanted.text == self.url && wanted.is_for_peers()).then_some(wanted)
    }
}

impl Head {
    pub(crate) fn new(status: StatusCode, fields: &HeaderMap, length: Option<u64>) -> Head {
        let fields = fields.iter().map(|(name, value)| {
            let value = ByteBuf::from(value.as_bytes());
            (name.to_string(), value)
        });
        Head {
            status: status.as_u16(),
            fields: fields.collect(),
            length,
        }
    }

    /// Of a stored answer whose head is `fields` now.
    pub(crate) fn of_stored(meta: &Meta, mut fields: HeaderMap) -> Option<Head> {
        let date = httpdate::fmt_http_date(SystemTime::now());
        fields.insert(http::header::DATE, date.parse().ok()?);
        let status = StatusCode::from_u16(meta.status).ok()?;
        Some(Head::new(status, &fields, Some(meta.size)))
    }

    /// As an answer of an origin, without a body. Its length is the one that is announced here,
    /// whatever a field says.
    pub(crate) fn response(&self) -> Option<http::Response<()>> {
        let mut response = http::Response::new(());
        let status = StatusCode::from_u16(self.status).ok();
        *response.status_mut() = status.filter(|status| !status.is_informational())?;
        let fields = response.headers_mut();
        for (name, value) in &self.fields {
            let name: HeaderName = name.parse().ok()?;
            fields.append(name, HeaderValue::from_bytes(value).ok()?);
        }
        crate::headers::strip(fields);
        fields.remove(http::header::CONTENT_LENGTH);
        if let Some(length) = self.length {
            fields.insert(http::header::CONTENT_LENGTH, HeaderValue::from(length));
        }
        Some(response)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn target(url: &str, fields: &[(&str, &str)]) -> Target {
        let field =
            |(name, value): &(&str, &str)| ((*name).to_owned(), ByteBuf::from(value.as_bytes()));
        Target {
            url: url.to_owned(),
            fields: fields.iter().map(field).collect(),
        }
    }

    #[test]
    fn a_request_arrives_as_it_was() {
        let request = http::Request::builder()
            .uri("http://a.example/x")
            .header("accept", "text/html")
            .header("accept-encoding", "gzip")
            .header("referer", "http://b.example/");
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let wanted = Wanted::new(parts.uri.clone(), parts);
        let question = Question::Get {
            target: Target::new(&wanted),
            version: Some(7),
            without: None,
            addrs: ByteBuf::new(),
        };
        let read: Question = decode(&wire::encode(&question)).unwrap();
        assert_eq!(read, question);
        let Question::Get { target, .. } = read else {
            panic!("another question");
        };
        let arrived = target.wanted().unwrap();
        assert_eq!(arrived.text, wanted.text);
        assert_eq!(arrived.plain["accept-encoding"], "gzip");
        assert!(!arrived.plain.contains_key("referer"));
        assert_eq!(arrived.plain_object(), wanted.plain_object());
    }

    #[test]
    fn what_no_peer_may_ask_for_is_refused() {
        for url in [
            "",
            "/x",
            "https://a.example:443/",
            "ftp://a.example/",
            "http://user@a.example/",
            "http://A.example/",
            "http://a.example:80/",
            "http://a.example:99999/",
            "http://a.example/?q",
            "http:///x",
        ] {
            assert!(target(url, &[]).wanted().is_none(), "{url}");
        }
        for url in ["http://a.example/", "https://a.example/"] {
            assert!(target(url, &[]).wanted().is_some(), "{url}");
        }
        for fields in [
            [("cookie", "a=b")],
            [("host", "b.example")],
            [("Accept", "x")],
            [("accept", "a\r\nb: c")],
        ] {
            let target = target("http://a.example/", &fields);
            assert!(target.wanted().is_none(), "{fields:?}");
        }
    }

    #[test]
    fn bounds_are_kept() {
        let long = target(&format!("http://a.example/{}", "x".repeat(MAX_URL)), &[]);
        let question = Question::Fetch {
            target: long,
            version: None,
        };
        assert!(decode::<Question>(&wire::encode(&question)).is_err());
        let copy = Copied {
            version: 1,
            size: 1,
            fresh_us: 1,
        };
        let offer = Offer {
            object: Guid::new(1),
            copy,
            delegates: Vec::new(),
        };
        let objects = vec![offer; MAX_OFFERED + 1];
        let question = Question::Offer { objects };
        assert!(decode::<Question>(&wire::encode(&question)).is_err());
        let fields = vec![("a".to_owned(), ByteBuf::new()); MAX_ANSWER_FIELDS + 1];
        let head = Head {
            status: 200,
            fields,
            length: None,
        };
        let answer = Answer::Current { copy, head };
        assert!(decode::<Answer>(&wire::encode(&answer)).is_err());
    }

    #[test]
    fn the_longest_offer_fits_in_a_frame() {
        let delegate = Node {
            peer: PeerId::random(),
            addrs: ByteBuf::from(vec![0; overlay_core::MAX_ADDRS]),
        };
        let copy = Copied {
            version: u64::MAX,
            size: u64::MAX,
            fresh_us: u64::MAX,
        };
        let offer = Offer {
            object: Guid::new(u128::MAX),
            copy,
            delegates: vec![delegate; MAX_DELEGATES],
        };
        let objects = vec![offer; MAX_OFFERED];
        let frame = wire::encode(&Question::Offer { objects });
        assert!(frame.len() <= MAX_QUESTION, "{} bytes", frame.len());
        assert!(decode::<Question>(&frame).is_ok());
    }

    #[test]
    fn an_answer_s_head_has_one_length_and_nothing_of_a_hop() {
        let mut fields = HeaderMap::new();
        fields.insert("content-length", HeaderValue::from(5));
        fields.insert("transfer-encoding", HeaderValue::from_static("chunked"));
        fields.insert("etag", HeaderValue::from_static("\"x\""));
        let head = Head::new(StatusCode::OK, &fields, Some(9));
        let response = head.response().unwrap();
        assert_eq!(response.headers()["content-length"], "9");
        assert_eq!(response.headers()["etag"], "\"x\"");
        assert!(!response.headers().contains_key("transfer-encoding"));
        let odd = Head {
            status: 99,
            ..head.clone()
        };
        assert!(odd.response().is_none());
        let informational = Head {
            status: 101,
            ..head
        };
        assert!(informational.response().is_none());
    }

    proptest! {
        /// Whatever comes, it is read without a panic, and what is read is within its bounds and
        /// has one encoding.
        #[test]
        fn any_bytes_can_come(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(question) = decode::<Question>(&bytes) {
                prop_assert_eq!(wire::encode(&question), bytes.clone());
            }
            if let Ok(Answer::Object { head, .. } | Answer::Current { head, .. }) =
                decode::<Answer>(&bytes)
            {
                let _ = head.response();
            }
        }

        /// Likewise for what is nearly right.
        #[test]
        fn bent_questions_can_come(
            url in "\\PC{0,40}",
            name in "[a-z-]{0,20}",
            value in prop::collection::vec(any::<u8>(), 0..40),
            at in any::<prop::sample::Index>(),
            byte in any::<u8>(),
        ) {
            let question = Question::Fetch {
                target: Target { url, fields: vec![(name, value.into())] },
                version: Some(3),
            };
            let mut bytes = wire::encode(&question);
            if let Question::Fetch { target, .. } = decode::<Question>(&bytes).unwrap() {
                let _ = target.wanted();
            }
            let at = at.index(bytes.len());
            bytes[at] = byte;
            if let Ok(Question::Get { target, .. } | Question::Fetch { target, .. }) =
                decode::<Question>(&bytes)
            {
                let _ = target.wanted();
            }
        }

        /// Likewise for heads of answers.
        #[test]
        fn bent_heads_can_come(
            status in any::<u16>(),
            fields in prop::collection::vec(
                ("\\PC{0,12}", prop::collection::vec(any::<u8>(), 0..20)), 0..6),
            length in any::<Option<u64>>(),
        ) {
            let fields = fields.into_iter().map(|(name, value)| (name, value.into())).collect();
            let head = Head { status, fields, length };
            if let Some(response) = head.response() {
                let told = crate::keeper::content_length(response.headers());
                prop_assert_eq!(told, length);
                let again = Head::new(response.status(), response.headers(), length);
                prop_assert!(again.response().is_some());
            }
        }
    }
}
