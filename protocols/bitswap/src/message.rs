//! Messages (Z3, Z4).

use bytes::Bytes;
use cid::Cid;
use prost::Message as _;

use crate::{
    bounds::MAX_ITEMS,
    fields::{Fields, Value},
    prefix::Prefix,
};

/// What is wanted of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WantType {
    /// The block itself.
    Block,
    /// Whether the peer has it.
    Have,
}

/// What a peer says of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Presence {
    /// It has it.
    Have,
    /// It does not.
    DontHave,
}

/// One line of a wantlist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The block.
    pub cid: Cid,
    /// Higher first.
    pub priority: i32,
    /// Whether it is wanted no more.
    pub cancel: bool,
    /// What is wanted.
    pub want: WantType,
    /// Whether an answer is wanted where there is nothing.
    pub send_dont_have: bool,
}

impl Entry {
    /// Wants something of a block, and an answer in any case.
    pub fn want(cid: Cid, want: WantType) -> Entry {
        Entry {
            cid,
            priority: 1,
            cancel: false,
            want,
            send_dont_have: true,
        }
    }

    /// Wants it no more.
    pub fn cancel(cid: Cid) -> Entry {
        Entry {
            cid,
            priority: 0,
            cancel: true,
            want: WantType::Block,
            send_dont_have: false,
        }
    }
}

/// A block as it travels: what its CID is shows when it is hashed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload {
    /// All of the CID but the digest.
    pub prefix: Prefix,
    /// The bytes. Of a message that was read they are a part of its buffer.
    pub data: Bytes,
}

/// One message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// Lines of the sender's wantlist.
    pub entries: Vec<Entry>,
    /// Whether these lines are all of it.
    pub full: bool,
    /// Blocks.
    pub blocks: Vec<Payload>,
    /// What the sender has or has not.
    pub presences: Vec<(Cid, Presence)>,
    /// Bytes of blocks that will follow.
    pub pending_bytes: i32,
    /// How much was passed over because its kind is not known here (Z4); not sent.
    pub skipped: usize,
}

/// Why bytes are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Not a protobuf message, or a field of another type than it should have.
    #[error("the message is not valid protobuf")]
    Protobuf,
    /// More than [`MAX_ITEMS`] of something.
    #[error("the message has more than {MAX_ITEMS} entries, blocks or presences")]
    TooMany,
}

impl Message {
    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.blocks.is_empty() && self.presences.is_empty()
    }

    /// Reads a message without its length.
    ///
    /// # Errors
    ///
    /// What is no protobuf, or has too much of something.
    pub fn decode(bytes: Bytes) -> Result<Message, Malformed> {
        let mut message = Message::default();
        let mut fields = Fields(bytes);
        while let Some((field, value)) = fields.next()? {
            match (field, value) {
                (1, Value::Bytes(bytes)) => message.read_wantlist(bytes)?,
                (3, Value::Bytes(bytes)) => {
                    let block = read_block(bytes)?;
                    message.take(block, |message| &mut message.blocks)?;
                }
                (4, Value::Bytes(bytes)) => {
                    let presence = read_presence(bytes)?;
                    message.take(presence, |message| &mut message.presences)?;
                }
                (5, Value::Number(number)) => message.pending_bytes = number as i32,
                (1 | 3 | 4 | 5, _) => return Err(Malformed::Protobuf),
                _ => {}
            }
        }
        Ok(message)
    }

    fn read_wantlist(&mut self, bytes: Bytes) -> Result<(), Malformed> {
        let mut fields = Fields(bytes);
        while let Some((field, value)) = fields.next()? {
            match (field, value) {
                (1, Value::Bytes(bytes)) => {
                    let entry = read_entry(bytes)?;
                    self.take(entry, |message| &mut message.entries)?;
                }
                (2, Value::Number(number)) => self.full = number != 0,
                (1 | 2, _) => return Err(Malformed::Protobuf),
                _ => {}
            }
        }
        Ok(())
    }

    fn take<T>(
        &mut self,
        item: Option<T>,
        list: impl FnOnce(&mut Message) -> &mut Vec<T>,
    ) -> Result<(), Malformed> {
        match item {
            None => self.skipped += 1,
            Some(item) => {
                let list = list(self);
                if list.len() >= MAX_ITEMS {
                    return Err(Malformed::TooMany);
                }
                list.push(item);
            }
        }
        Ok(())
    }

    /// The message without its length.
    pub fn encode(&self) -> Vec<u8> {
        let wantlist = (self.full || !self.entries.is_empty()).then(|| PbWantlist {
            entries: self.entries.iter().map(PbEntry::from).collect(),
            full: self.full,
        });
        let payload = self.blocks.iter().map(|block| PbBlock {
            prefix: block.prefix.encode(),
            data: block.data.clone(),
        });
        let presences = self.presences.iter().map(|(cid, presence)| PbPresence {
            cid: cid.to_bytes(),
            kind: match presence {
                Presence::Have => 0,
                Presence::DontHave => 1,
            },
        });
        PbMessage {
            wantlist,
            payload: payload.collect(),
            presences: presences.collect(),
            pending_bytes: self.pending_bytes,
        }
        .encode_to_vec()
    }
}

fn read_entry(bytes: Bytes) -> Result<Option<Entry>, Malformed> {
    let mut cid = None;
    let (mut priority, mut cancel, mut want, mut send_dont_have) = (0, false, 0, false);
    let mut fields = Fields(bytes);
    while let Some((field, value)) = fields.next()? {
        match (field, value) {
            (1, Value::Bytes(bytes)) => cid = read_cid(&bytes),
            (2, Value::Number(number)) => priority = number as i32,
            (3, Value::Number(number)) => cancel = number != 0,
            (4, Value::Number(number)) => want = number,
            (5, Value::Number(number)) => send_dont_have = number != 0,
            (1..=5, _) => return Err(Malformed::Protobuf),
            _ => {}
        }
    }
    let want = match want {
        0 => WantType::Block,
        1 => WantType::Have,
        _ => return Ok(None),
    };
    Ok(cid.map(|cid| Entry {
        cid,
        priority,
        cancel,
        want,
        send_dont_have,
    }))
}

fn read_block(bytes: Bytes) -> Result<Option<Payload>, Malformed> {
    let (mut prefix, mut data) = (None, Bytes::new());
    let mut fields = Fields(bytes);
    while let Some((field, value)) = fields.next()? {
        match (field, value) {
            (1, Value::Bytes(bytes)) => prefix = Prefix::decode(&bytes),
            (2, Value::Bytes(bytes)) => data = bytes,
            (1 | 2, _) => return Err(Malformed::Protobuf),
            _ => {}
        }
    }
    Ok(prefix.map(|prefix| Payload { prefix, data }))
}

fn read_presence(bytes: Bytes) -> Result<Option<(Cid, Presence)>, Malformed> {
    let (mut cid, mut kind) = (None, 0);
    let mut fields = Fields(bytes);
    while let Some((field, value)) = fields.next()? {
        match (field, value) {
            (1, Value::Bytes(bytes)) => cid = read_cid(&bytes),
            (2, Value::Number(number)) => kind = number,
            (1 | 2, _) => return Err(Malformed::Protobuf),
            _ => {}
        }
    }
    let presence = match kind {
        0 => Presence::Have,
        1 => Presence::DontHave,
        _ => return Ok(None),
    };
    Ok(cid.map(|cid| (cid, presence)))
}

/// A CID that fills the field. One with anything behind it would be a second name.
fn read_cid(bytes: &[u8]) -> Option<Cid> {
    let cid = Cid::try_from(bytes).ok()?;
    (cid.to_bytes() == bytes).then_some(cid)
}

#[derive(Clone, PartialEq, prost::Message)]
struct PbMessage {
    #[prost(message, optional, tag = "1")]
    wantlist: Option<PbWantlist>,
    #[prost(message, repeated, tag = "3")]
    payload: Vec<PbBlock>,
    #[prost(message, repeated, tag = "4")]
    presences: Vec<PbPresence>,
    #[prost(int32, tag = "5")]
    pending_bytes: i32,
}

#[derive(Clone, PartialEq, prost::Message)]
struct PbWantlist {
    #[prost(message, repeated, tag = "1")]
    entries: Vec<PbEntry>,
    #[prost(bool, tag = "2")]
    full: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
struct PbEntry {
    #[prost(bytes = "vec", tag = "1")]
    block: Vec<u8>,
    #[prost(int32, tag = "2")]
    priority: i32,
    #[prost(bool, tag = "3")]
    cancel: bool,
    #[prost(int32, tag = "4")]
    want_type: i32,
    #[prost(bool, tag = "5")]
    send_dont_have: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
struct PbBlock {
    #[prost(bytes = "vec", tag = "1")]
    prefix: Vec<u8>,
    #[prost(bytes = "bytes", tag = "2")]
    data: Bytes,
}

#[derive(Clone, PartialEq, prost::Message)]
struct PbPresence {
    #[prost(bytes = "vec", tag = "1")]
    cid: Vec<u8>,
    #[prost(int32, tag = "2")]
    kind: i32,
}

impl From<&Entry> for PbEntry {
    fn from(entry: &Entry) -> Self {
        PbEntry {
            block: entry.cid.to_bytes(),
            priority: entry.priority,
            cancel: entry.cancel,
            want_type: match entry.want {
                WantType::Block => 0,
                WantType::Have => 1,
            },
            send_dont_have: entry.send_dont_have,
        }
    }
}
