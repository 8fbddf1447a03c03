//! Requests and responses, and their form on the wire (Y2, Y3).

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A request, as it is on the wire. `id` comes back in each of its responses.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Request {
    /// The client's name for the request.
    #[serde(default)]
    pub id: String,
    /// Ends the barrier or subscription of this id; nothing else is asked.
    #[serde(default)]
    pub is_cancel: bool,
    /// Asks to publish.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publish: Option<PublishRequest>,
    /// Asks to subscribe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscribe: Option<SubscribeRequest>,
    /// Asks to wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub barrier: Option<BarrierRequest>,
    /// Asks to count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal_entry: Option<SignalEntryRequest>,
}

/// Adds a payload to a topic.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PublishRequest {
    /// The topic.
    pub topic: String,
    /// Any JSON.
    #[serde(default)]
    pub payload: Value,
}

/// Wants the payloads of a topic, the old ones first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SubscribeRequest {
    /// The topic.
    pub topic: String,
}

/// Waits until a state was entered often enough.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BarrierRequest {
    /// The state.
    pub state: String,
    /// How often.
    pub target: i64,
}

/// Enters a state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SignalEntryRequest {
    /// The state.
    pub state: String,
}

/// The number of a payload or entry, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sequence {
    /// The number.
    pub seq: i64,
}

/// A response, as it is on the wire. Empty in all but `id`, it says that a barrier fired.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Response {
    /// The request's.
    #[serde(default)]
    pub id: String,
    /// Why it failed, or empty.
    #[serde(default)]
    pub error: String,
    /// Number of what was published.
    #[serde(default)]
    pub publish: Option<Sequence>,
    /// A payload, as JSON in text, or empty.
    #[serde(default)]
    pub subscribe: String,
    /// Number of the entry.
    #[serde(default)]
    pub signal_entry: Option<Sequence>,
}

/// What a request asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// Ends what waits under this id.
    Cancel,
    /// Adds to a topic.
    Publish(PublishRequest),
    /// Reads a topic.
    Subscribe(SubscribeRequest),
    /// Waits.
    Barrier(BarrierRequest),
    /// Counts.
    SignalEntry(SignalEntryRequest),
}

/// A message is no request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// It is not JSON, or not of the form.
    #[error("malformed request: {0}")]
    Malformed(String),
    /// Nothing is asked.
    #[error("the request asks for nothing")]
    Nothing,
    /// Several things are asked.
    #[error("the request asks for several things")]
    Several,
    /// A name or id is longer than allowed.
    #[error("{what} is longer than {limit} bytes")]
    TooLong {
        /// Which.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
}

impl Request {
    /// Reads a request; with the error comes the id, where there is one, for the response.
    pub fn decode(
        text: &str,
        id_bytes: usize,
        name_bytes: usize,
    ) -> Result<(String, What), (String, DecodeError)> {
        // A list would be taken for the fields in their order.
        if !text.trim_start().starts_with('{') {
            let error = DecodeError::Malformed("not a JSON object".to_owned());
            return Err((String::new(), error));
        }
        let request: Request = match serde_json::from_str(text) {
            Ok(request) => request,
            Err(error) => {
                let id = IdOnly::of(text).filter(|id| id.len() <= id_bytes);
                let error = DecodeError::Malformed(error.to_string());
                return Err((id.unwrap_or_default(), error));
            }
        };
        if request.id.len() > id_bytes {
            let (what, limit) = ("the id", id_bytes);
            return Err((String::new(), DecodeError::TooLong { what, limit }));
        }
        let id = request.id.clone();
        match request.what() {
            Ok(what) if what.name().len() > name_bytes => {
                let (what, limit) = ("the topic or state", name_bytes);
                Err((id, DecodeError::TooLong { what, limit }))
            }
            Ok(what) => Ok((id, what)),
            Err(error) => Err((id, error)),
        }
    }

    fn what(self) -> Result<What, DecodeError> {
        if self.is_cancel {
            return Ok(What::Cancel);
        }
        let mut asked = [
            self.publish.map(What::Publish),
            self.subscribe.map(What::Subscribe),
            self.barrier.map(What::Barrier),
            self.signal_entry.map(What::SignalEntry),
        ]
        .into_iter()
        .flatten();
        match (asked.next(), asked.next()) {
            (Some(what), None) => Ok(what),
            (None, _) => Err(DecodeError::Nothing),
            (Some(_), Some(_)) => Err(DecodeError::Several),
        }
    }
}

impl What {
    /// The topic or state.
    fn name(&self) -> &str {
        match self {
            What::Cancel => "",
            What::Publish(request) => &request.topic,
            What::Subscribe(request) => &request.topic,
            What::Barrier(request) => &request.state,
            What::SignalEntry(request) => &request.state,
        }
    }
}

impl Response {
    /// The answer that the request failed.
    pub fn failure(id: String, error: impl ToString) -> Response {
        Response {
            id,
            error: error.to_string(),
            ..Response::default()
        }
    }

    /// Its form on the wire.
    pub fn encode(&self) -> String {
        serde_json::to_string(self).expect("a response has text as keys")
    }
}

/// Of a request that is malformed otherwise.
#[derive(Deserialize)]
struct IdOnly {
    id: String,
}

impl IdOnly {
    fn of(text: &str) -> Option<String> {
        serde_json::from_str(text)
            .ok()
            .map(|IdOnly { id }: IdOnly| id)
    }
}
