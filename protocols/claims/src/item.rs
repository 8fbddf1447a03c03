//! What travels and is kept under a claim's name: the claim, or its release.
//!
//! An [`Item`] in memory is always genuine: a release comes from its secret, or was checked
//! against the tag. Time is not checked here; see [`Item::check_time`].

use bytes::Bytes;
use cid::Cid;

use crate::{Claim, Secret};

/// Bytes of an item at most: a release's.
pub const MAX_ITEM: usize = Secret::LEN + size_of::<u64>();

/// How long a release is served after its time, in seconds (CL4): 90 days.
pub const RELEASE_LIFE: u64 = 90 * DAY;

/// How far clocks may lie apart, in seconds: so far ahead a release may be (CL3), and so late it
/// may be offered (CL4).
pub const CLOCKS_APART: u64 = DAY;

const DAY: u64 = 24 * 3_600;

/// The version of a claim (CL1).
const CLAIMED: u64 = 1;

/// The lowest version of a release (CL3): higher than any claim's.
const RELEASED: u64 = 1 << 32;

/// Why something is no item, or not one to take now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ItemError {
    /// Neither the length of a claim nor that of a release.
    #[error("a claim has no content and a release {MAX_ITEM} bytes, not {size}")]
    Length {
        /// Bytes there are.
        size: usize,
    },
    /// The secret is not that of the claim.
    #[error("the secret is not that of the claim")]
    WrongSecret,
    /// The release is of a time to come.
    #[error("a release of {time} is more than {CLOCKS_APART} seconds ahead of {now}")]
    TooFarAhead {
        /// Its time, in Unix seconds.
        time: u64,
        /// The time here.
        now: u64,
    },
    /// The release has ended too long ago.
    #[error("a release of {time} has ended, it is {now}")]
    Ended {
        /// Its time, in Unix seconds.
        time: u64,
        /// The time here.
        now: u64,
    },
}

/// The end of a claim (CL3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Release {
    /// Shows that who claimed has released.
    pub secret: Secret,
    /// When, in Unix seconds by that node's clock.
    pub time: u64,
}

impl Release {
    /// Whether it is served no more (CL4).
    pub(crate) fn has_ended(&self, now: u64) -> bool {
        self.time.saturating_add(RELEASE_LIFE) <= now
    }

    pub(crate) fn version(&self) -> u64 {
        RELEASED + self.time / DAY
    }

    pub(crate) fn to_bytes(self) -> [u8; MAX_ITEM] {
        let mut bytes = [0; MAX_ITEM];
        bytes[..Secret::LEN].copy_from_slice(&self.secret.to_bytes());
        bytes[Secret::LEN..].copy_from_slice(&self.time.to_be_bytes());
        bytes
    }

    /// Not yet checked against a tag.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Release> {
        let bytes: &[u8; MAX_ITEM] = bytes.try_into().ok()?;
        let (secret, time) = bytes.split_first_chunk::<{ Secret::LEN }>()?;
        Some(Release {
            secret: Secret::from_bytes(*secret),
            time: u64::from_be_bytes(time.try_into().ok()?),
        })
    }
}

/// A claim (CL1) or its release (CL3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item {
    name: Claim,
    release: Option<Release>,
}

impl Item {
    /// Says that somebody needs the block.
    pub const fn claim(name: Claim) -> Item {
        Item {
            name,
            release: None,
        }
    }

    /// Says that who claimed `block` with `secret` needs it no more; `time` in Unix seconds.
    pub fn release(block: Cid, secret: &Secret, time: u64) -> Item {
        Item {
            name: Claim::of(block, secret),
            release: Some(Release {
                secret: *secret,
                time,
            }),
        }
    }

    /// The item under a name, checked (CL1, CL3).
    pub fn decode(name: Claim, content: &[u8]) -> Result<Item, ItemError> {
        if content.is_empty() {
            return Ok(Item::claim(name));
        }
        let size = content.len();
        let release = Release::from_bytes(content).ok_or(ItemError::Length { size })?;
        if release.secret.tag(&name.block) != name.tag {
            return Err(ItemError::WrongSecret);
        }
        Ok(Item {
            name,
            release: Some(release),
        })
    }

    /// Its content: what travels and is kept.
    pub fn encode(&self) -> Bytes {
        match self.release {
            None => Bytes::new(),
            Some(release) => Bytes::copy_from_slice(&release.to_bytes()),
        }
    }

    /// Whether it may be offered at `now`, in Unix seconds (CL3, CL4).
    pub fn check_time(&self, now: u64) -> Result<(), ItemError> {
        let Some(Release { time, .. }) = self.release else {
            return Ok(());
        };
        if time > now.saturating_add(CLOCKS_APART) {
            return Err(ItemError::TooFarAhead { time, now });
        }
        if time.saturating_add(RELEASE_LIFE + CLOCKS_APART) <= now {
            return Err(ItemError::Ended { time, now });
        }
        Ok(())
    }

    /// Which claim it is, or releases.
    pub const fn name(&self) -> &Claim {
        &self.name
    }

    /// The release, if it is one.
    pub const fn as_release(&self) -> Option<&Release> {
        self.release.as_ref()
    }

    /// Of two items with one name the one with the higher version replaces the other: a release
    /// every claim.
    pub fn version(&self) -> u64 {
        version_of(self.release.as_ref())
    }

    /// Whether an item of this version is a release.
    pub const fn is_release_version(version: u64) -> bool {
        version >= RELEASED
    }
}

pub(crate) fn version_of(release: Option<&Release>) -> u64 {
    release.map_or(CLAIMED, Release::version)
}
