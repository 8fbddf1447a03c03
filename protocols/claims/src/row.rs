//! What is kept of a claim, and what an offered item does to it. Pure: both stores decide with it.

use crate::item::{MAX_ITEM, version_of};
use crate::{Item, Release};

/// A claim or release as it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// When it came here, in Unix seconds.
    pub(crate) arrived: u64,
    pub(crate) release: Option<Release>,
}

const ARRIVED: usize = size_of::<u64>();

impl Row {
    pub(crate) fn new(item: &Item, now: u64) -> Row {
        Row {
            arrived: now,
            release: item.as_release().copied(),
        }
    }

    pub(crate) fn version(&self) -> u64 {
        version_of(self.release.as_ref())
    }

    /// Whether it is served: a claim always, a release until it ends (CL4).
    pub(crate) fn is_live(&self, now: u64) -> bool {
        self.release.is_none_or(|release| !release.has_ended(now))
    }

    /// As in CL10: the time of arrival, then the content.
    pub(crate) fn to_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(ARRIVED + MAX_ITEM);
        bytes.extend_from_slice(&self.arrived.to_be_bytes());
        if let Some(release) = self.release {
            bytes.extend_from_slice(&release.to_bytes());
        }
        bytes
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Row> {
        let (arrived, content) = bytes.split_first_chunk::<ARRIVED>()?;
        Some(Row {
            arrived: u64::from_be_bytes(*arrived),
            release: match content.is_empty() {
                true => None,
                false => Some(Release::from_bytes(content)?),
            },
        })
    }
}

/// What to do with an offered item whose time was checked.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Keep it, in place of what is there.
    Keep(Row),
    /// It, or what replaces it, is known, in this version.
    Known { version: u64 },
}

/// Judges an item against what is kept under its name (CL1, CL3, CL4).
pub(crate) fn judge(kept: Option<&Row>, offered: &Item, now: u64) -> Verdict {
    let row = Row::new(offered, now);
    let version = row.version();
    let kept = kept
        .filter(|kept| kept.is_live(now))
        .map_or(0, Row::version);
    match kept >= version || !row.is_live(now) {
        true => Verdict::Known {
            version: kept.max(version),
        },
        false => Verdict::Keep(row),
    }
}
