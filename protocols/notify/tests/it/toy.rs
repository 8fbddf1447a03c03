//! A channel whose statements say whether they are genuine.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use guid::Guid;
use notify::{BoxError, Channel, Contact, Statement};
use parking_lot::Mutex;

/// The longest statement.
pub(crate) const MAX_SIZE: usize = 1_024;

/// A subject whose shard is the number's.
pub(crate) fn subject(number: u8) -> Guid {
    Guid::new(u128::from(number) << 120)
}

/// A statement: `subject`, version, whether it is genuine.
pub(crate) fn say(subject: Guid, version: u64, genuine: bool) -> Bytes {
    let mut bytes = BytesMut::new();
    bytes.put_slice(&subject.to_bytes());
    bytes.put_u64(version);
    bytes.put_u8(u8::from(genuine));
    bytes.freeze()
}

/// What everybody can be asked for.
#[derive(Default)]
pub(crate) struct Kept {
    pub(crate) newest: Mutex<HashMap<Guid, u64>>,
    pub(crate) fails: Mutex<bool>,
}

pub(crate) struct Toy(pub(crate) Arc<Kept>);

#[async_trait::async_trait]
impl Channel for Toy {
    fn name(&self) -> &'static str {
        "toys"
    }

    fn max_size(&self) -> usize {
        MAX_SIZE
    }

    fn check(&self, data: Bytes) -> Result<Statement, String> {
        let (subject, rest) = data.split_first_chunk::<16>().ok_or("too short")?;
        let (version, rest) = rest.split_first_chunk::<8>().ok_or("too short")?;
        match rest.first() {
            Some(1) => Ok(Statement {
                subject: Guid::from_bytes(*subject),
                version: u64::from_be_bytes(*version),
                data: data.clone(),
            }),
            _ => Err("forged".to_owned()),
        }
    }

    fn join(&self, one: Statement, other: Statement) -> Statement {
        match one.version < other.version {
            true => other,
            false => one,
        }
    }

    async fn newest(&self, subject: Guid) -> Result<Option<Statement>, BoxError> {
        if *self.0.fails.lock() {
            return Err("nobody answers".into());
        }
        let version = self.0.newest.lock().get(&subject).copied();
        Ok(version.map(|version| Statement {
            subject,
            version,
            data: say(subject, version, true),
        }))
    }

    async fn at(&self, _place: Guid) -> Vec<Contact> {
        Vec::new()
    }

    fn is_at(&self, _place: Guid) -> bool {
        false
    }
}
