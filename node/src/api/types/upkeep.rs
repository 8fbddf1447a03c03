//! What is kept, let go and looked at.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Failure, JobProgress};

/// A root that is kept here with all its blocks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PinStatus {
    /// Its CID; of a version that of its record.
    pub cid: String,
    /// What it was called when it was pinned, as `NAME@v3`; of content there is nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// When it was pinned, Unix seconds.
    pub added: u64,
    /// `whole`: all its blocks are here; `getting`; or `failed`: one could not be got yet.
    pub state: String,
    /// Why one could not be got.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Blocks that are here.
    pub blocks: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes there will be, as far as the root tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_bytes: Option<u64>,
}

/// A line of what comes while a root is pinned: how far it is, and at last one of the others.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PinEvent {
    /// How far it is.
    Progress(JobProgress),
    /// All its blocks are here; or, where nobody wants to wait, it is pinned.
    Pinned(PinStatus),
    /// It failed; where it is pinned it is tried again.
    Failed(Failure),
}

/// A line of what comes while copies are let go.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum GcEvent {
    /// How far it is.
    Progress(JobProgress),
    /// It is done.
    Done(GcDone),
    /// It failed.
    Failed(Failure),
}

/// What came of letting copies go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GcDone {
    /// Whether they were only counted.
    pub dry: bool,
    /// Blocks looked at.
    pub looked: u64,
    /// Their bytes.
    pub looked_bytes: u64,
    /// Blocks that went, or can go.
    pub gone: u64,
    /// Their bytes.
    pub gone_bytes: u64,
    /// Blocks that this node owes to others.
    pub owed: u64,
    /// Blocks that are pinned here.
    pub pinned: u64,
    /// Blocks that not all have who have to; they are repaired, and can go later.
    pub waiting: u64,
    /// Blocks that nobody anywhere needs any more and that went for that.
    pub unneeded: u64,
    /// Their bytes.
    pub unneeded_bytes: u64,
}

/// Which versions of this node's objects to keep, of which the others are pruned: those that one
/// of `keep_last` and `keep_seconds` says. The newest is always kept.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PruneRequest {
    /// Names of this node.
    #[serde(default)]
    pub names: Vec<String>,
    /// And all that begin so; removed ones as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// So many of the newest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_last: Option<u64>,
    /// Those that were the newest at some time within so many seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_seconds: Option<u64>,
    /// Only say what would be pruned.
    #[serde(default)]
    pub dry: bool,
}

/// A line of what comes while versions are pruned.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PruneEvent {
    /// How many blocks were released so far.
    Progress(JobProgress),
    /// It is done.
    Done(PruneDone),
    /// It failed.
    Failed(Failure),
}

/// What came of pruning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PruneDone {
    /// Whether it was only looked at.
    pub dry: bool,
    /// Objects of which versions were pruned, or would be.
    pub objects: u64,
    /// Versions of which only the record is kept from now on.
    pub versions: u64,
    /// Bytes of their content, what several share counted each time.
    pub bytes: u64,
    /// Blocks that this node does not need any more.
    pub released: u64,
}

/// What to check.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FsckRequest {
    /// Only the blocks that are kept here.
    #[serde(default)]
    pub here: bool,
    /// References or CIDs; unless given all names of this node, with all their versions, and
    /// all pins.
    #[serde(default)]
    pub references: Vec<String>,
}

/// A line of what comes during a check.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FsckEvent {
    /// How far the reading of blocks here is.
    Progress(JobProgress),
    /// It is done.
    Done(FsckDone),
    /// It failed.
    Failed(Failure),
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FsckDone {
    /// Blocks kept here that were read.
    pub here: u64,
    /// Their bytes.
    pub here_bytes: u64,
    /// How many of them were damaged, and are got again from others, or could not be read.
    pub damaged: u64,
    /// Blocks of pins that are not here; they are got again.
    pub unpinned: u64,
    /// Versions, pins and other roots that were gone through.
    pub roots: u64,
    /// Blocks of these.
    pub blocks: u64,
    /// How many of them too few nodes have; they are being repaired.
    pub thin: u64,
    /// How many of them nobody has.
    pub lost: u64,
    /// Those that nobody has, and roots that could not be gone through: 100 at most.
    pub named: Vec<FsckLost>,
    /// The root at which it stopped, as there were too many blocks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped_at: Option<String>,
}

/// Something that is not there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FsckLost {
    /// What it belongs to.
    pub of: String,
    /// The block, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block: Option<String>,
    /// Why it is not there.
    pub reason: String,
}

/// How full the store of blocks is, and how its upkeep is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UpkeepStatus {
    /// Blocks kept.
    pub blocks: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes that may be kept.
    pub budget_bytes: u64,
    /// Pins.
    pub pins: usize,
    /// How many of them have all their blocks here.
    pub whole_pins: usize,
    /// Blocks that those who keep them were told are needed, since the start.
    pub claims: u64,
    /// Blocks of which they are still to be told.
    pub unclaimed: u64,
    /// When the reading of all blocks that is under way began, Unix seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scrub_began: Option<u64>,
    /// When the last one ended, Unix seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scrub_ended: Option<u64>,
    /// Blocks that it has read.
    pub scrubbed: u64,
    /// How many of them were damaged.
    pub scrub_damaged: u64,
}
