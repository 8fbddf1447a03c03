//! What the control API answers: JSON shapes shared with its clients.

mod upkeep;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use upkeep::{
    FsckDone, FsckEvent, FsckLost, FsckRequest, GcDone, GcEvent, PinEvent, PinStatus, PruneDone,
    PruneEvent, PruneRequest, UpkeepStatus,
};

/// Names in one answer at most; `after` the last of them come the next.
pub const MAX_LISTED: usize = 65_536;

/// A failure, in every answer whose status is not 2xx.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Failure {
    /// Stable word for programs: see `docs/specs/control-api.md`.
    pub code: String,
    /// What went wrong, for people.
    pub message: String,
    /// What to do about it, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Peers that were asked in vain.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub asked: Vec<String>,
}

/// Who the node is.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct NodeId {
    /// libp2p PeerId, base58.
    pub peer_id: String,
    /// Place on the ring, 32 hexadecimal digits.
    pub guid: String,
    /// Multiaddresses it listens on, closed by `/p2p/PEER`.
    pub addresses: Vec<String>,
    /// Name and version of the program.
    pub agent: String,
}

/// How the node is.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct NodeStatus {
    /// libp2p PeerId, base58.
    pub peer_id: String,
    /// Place on the ring, 32 hexadecimal digits.
    pub guid: String,
    /// Version of the program.
    pub version: String,
    /// Process id.
    pub pid: u32,
    /// The home directory.
    pub home: String,
    /// `joining`, `active` or `left`.
    pub overlay: String,
    /// Seconds since the start.
    pub uptime_seconds: u64,
    /// Multiaddresses it listens on.
    pub addresses: Vec<String>,
    /// Address of the loopback API.
    pub api: String,
    /// Address of the S3 door.
    pub s3: String,
    /// Whether others can dial the node: `public`, `private` (a NAT lets nobody in) or
    /// `unknown`.
    pub reachability: String,
    /// Its reservations at relays.
    pub relays: Vec<RelayStatus>,
    /// What it relays for others.
    pub relaying: Relaying,
    /// Connected peers.
    pub peers: usize,
    /// Nodes in the leaf set.
    pub leaf_set: usize,
    /// Blocks kept on this node.
    pub blocks: u64,
    /// Their bytes.
    pub block_bytes: u64,
    /// Copies of other nodes' blocks that are dropped for newer ones.
    pub cached: u64,
    /// Their bytes.
    pub cached_bytes: u64,
    /// Copies that others can find here.
    pub published: usize,
    /// Resident memory of the process in bytes, where the system tells.
    pub resident_bytes: Option<u64>,
}

/// A reservation at a relay, held or wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RelayStatus {
    /// Multiaddress of the relay, closed by `/p2p/PEER`.
    pub relay: String,
    /// Whether the settings name it; else it was found.
    pub named: bool,
    /// `held`: others reach this node over it; `asking`; or `waiting` to ask again.
    pub state: String,
    /// Why there is none, where it is not held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What a node relays for others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Relaying {
    /// Whether it offers to.
    pub offered: bool,
    /// Peers that are reached through it.
    pub reservations: usize,
    /// Circuits.
    pub circuits: usize,
}

/// A connected peer.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Peer {
    /// libp2p PeerId, base58.
    pub peer_id: String,
    /// Place on the ring, 32 hexadecimal digits.
    pub guid: String,
    /// How it is connected: `direct`, `relayed`, or `upgraded` (direct, made while it was
    /// relayed).
    pub path: String,
    /// The far ends of the open connections, those in use first.
    pub connections: Vec<String>,
    /// Where it says it listens.
    pub addresses: Vec<String>,
    /// Name and version of its program; empty until it has said so.
    pub agent: String,
    /// Protocols it speaks; empty until it has said so.
    pub protocols: Vec<String>,
    /// Round-trip time of the last ping in milliseconds.
    pub rtt_ms: Option<f64>,
    /// Whether it is in this node's leaf set.
    pub leaf_set: bool,
}

/// Asks for a connection.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Connect {
    /// Multiaddress, with or without `/p2p/PEER` at its end.
    pub address: String,
}

/// Who answered.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Connected {
    /// libp2p PeerId, base58.
    pub peer_id: String,
    /// Place on the ring, 32 hexadecimal digits.
    pub guid: String,
}

/// One round trip.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Pong {
    /// libp2p PeerId, base58.
    pub peer_id: String,
    /// Round-trip time in milliseconds.
    pub rtt_ms: f64,
}

/// A message of a gossipsub topic.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct TopicMessage {
    /// PeerId of the node that signed it.
    pub from: String,
    /// The message, base64.
    pub message: String,
}

/// A peer that was found in Kademlia.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KadPeer {
    /// libp2p PeerId, base58.
    pub peer_id: String,
    /// Addresses under which it can be dialled; never empty.
    pub addresses: Vec<String>,
}

/// A key of Kademlia that this node provides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KadProvided {
    /// The multihash that is the key, as a CIDv1 with codec raw.
    pub key: String,
}

/// Who provides a key of Kademlia.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KadProviders {
    /// The multihash that is the key, as a CIDv1 with codec raw.
    pub key: String,
    /// PeerIds, base58; never empty, 256 at most.
    pub providers: Vec<String>,
}

/// A node as the overlay knows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Contact {
    /// Place on the ring, 32 hexadecimal digits.
    pub guid: String,
    /// libp2p PeerId, base58.
    pub peer_id: String,
    /// Addresses under which it can be dialled.
    pub addresses: Vec<String>,
    /// Measured round-trip time in milliseconds, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rtt_ms: Option<f64>,
}

/// The neighbours on the ring.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct LeafSet {
    /// `joining`, `active` or `left`.
    pub state: String,
    /// This node.
    pub me: Contact,
    /// Counter-clockwise neighbours, closest first.
    pub smaller: Vec<Contact>,
    /// Clockwise neighbours, closest first.
    pub larger: Vec<Contact>,
}

/// One filled cell of the routing table.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct TableEntry {
    /// Digits shared with this node.
    pub row: usize,
    /// The next digit.
    pub column: usize,
    /// Who stands there.
    pub contact: Contact,
}

/// The routing table and the neighbourhood set.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Table {
    /// This node.
    pub me: Contact,
    /// The filled cells, by row and column.
    pub entries: Vec<TableEntry>,
    /// The nearest nodes by round-trip time.
    pub neighbourhood: Vec<Contact>,
}

/// Where a key lives.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Route {
    /// The key, 32 hexadecimal digits.
    pub key: String,
    /// The nodes numerically closest to it, closest first.
    pub closest: Vec<Contact>,
}

/// One hop of a trace.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Hop {
    /// The node.
    pub contact: Contact,
    /// Digits its GUID shares with the key.
    pub shared_prefix: usize,
    /// Round-trip time to it as the hop before measured it, in milliseconds.
    pub rtt_ms: Option<f64>,
}

/// The way of a message to a key's root.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Trace {
    /// The key, 32 hexadecimal digits.
    pub key: String,
    /// The hops; the last one is the root.
    pub hops: Vec<Hop>,
}

/// Where something was stored.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct Stored {
    /// Peers on which it is durable.
    pub stored_on: Vec<String>,
    /// Replicas that were wanted.
    pub wanted: usize,
    /// Peers that did not take it, with the reason.
    pub failed: Vec<NotStored>,
}

/// A replica that could not be made.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct NotStored {
    /// The peer.
    pub peer_id: String,
    /// Why.
    pub reason: String,
}

/// A record of the DHT.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Record {
    /// The key, 32 hexadecimal digits.
    pub key: String,
    /// The value, base64.
    pub value: String,
    /// PeerId of the node that signed it.
    pub publisher: String,
    /// Its version.
    pub seq: u64,
    /// When it expires, seconds since 1970.
    pub expires: u64,
}

/// What stands under a key.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Found {
    /// The newest record of each publisher, this node's first; never empty.
    pub records: Vec<Record>,
    /// Records that are known to stand there and could not be got.
    pub missed: usize,
}

/// An object that this node publishes.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct PublishedObject {
    /// The object, 32 hexadecimal digits.
    pub key: String,
    /// Roots of the object that know of this node.
    pub roots: usize,
    /// Nodes that keep a pointer to this one.
    pub pointers: usize,
}

/// A node that publishes an object.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ObjectHolder {
    /// The node.
    pub contact: Contact,
    /// Hops the search took to it.
    pub hops: usize,
}

/// Where an object is.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Located {
    /// The object, 32 hexadecimal digits.
    pub key: String,
    /// Nodes that publish it, in the order in which they answered; never empty.
    pub holders: Vec<ObjectHolder>,
}

/// What became of a message at one node that publishes its object.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct HolderAnswer {
    /// The node.
    pub contact: Contact,
    /// Hops the message took to it.
    pub hops: usize,
    /// Whether somebody who listens there has it.
    pub delivered: bool,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What became of a message.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Sent {
    /// The object, 32 hexadecimal digits.
    pub key: String,
    /// The nodes it reached; never empty.
    pub answers: Vec<HolderAnswer>,
}

/// A message to an object of this node.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ObjectMessage {
    /// The node it comes from.
    pub from: Contact,
    /// Hops it took.
    pub hops: usize,
    /// The message, base64.
    pub message: String,
}

/// A file or directory that was stored.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Imported {
    /// Its CID.
    pub cid: String,
    /// Bytes of content.
    pub size: u64,
    /// Blocks it was cut into.
    pub blocks: u64,
}

/// What an object is.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ObjectStat {
    /// Its CID.
    pub cid: String,
    /// `file`, `directory` or `symlink`.
    pub kind: String,
    /// Bytes of content.
    pub size: u64,
    /// Bytes of all its blocks, as its root declares; equal blocks counted each time.
    pub cumulative_size: u64,
    /// Links in its root block.
    pub links: usize,
    /// PeerIds of nodes that publish a copy of its root block beside those whose duty it
    /// is, near ones first; 16 at most.
    pub copies: Vec<String>,
    /// The nodes whose duty it is to keep its root block, the closest to it first.
    pub keepers: Vec<Keeper>,
    /// Where a symlink leads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
}

/// A node whose duty it is to keep a block.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Keeper {
    /// PeerId.
    pub peer_id: String,
    /// Whether it has the block; not there where it did not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub has: Option<bool>,
    /// Why it did not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// One name in a directory.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct DirectoryEntry {
    /// The name.
    pub name: String,
    /// CID of what it names.
    pub cid: String,
    /// Bytes of it.
    pub size: u64,
    /// `file`, `directory` or `symlink`.
    pub kind: String,
}

/// One setting in force.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct SettingInForce {
    /// Section and key.
    pub key: String,
    /// The value as TOML.
    pub value: String,
    /// Where it came from.
    pub origin: String,
}

/// One version of a named object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ObjectVersion {
    /// The object's name in its owner's namespace; empty for the namespace itself.
    pub name: String,
    /// PeerId of the key that owns it.
    pub owner: String,
    /// The object's lasting name, 32 hexadecimal digits.
    pub aguid: String,
    /// Number of the version, from 1.
    pub version: u64,
    /// CID of its record.
    pub vguid: String,
    /// CID of its content; not there in a removal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<String>,
    /// Bytes of content.
    pub size: u64,
    /// When it was made, Unix milliseconds by the owner's clock.
    pub time: u64,
    /// VGUIDs of what it follows, the one it was made from first.
    pub previous: Vec<String>,
}

/// Versions of a named object.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ObjectVersions {
    /// Newest first. Those of one number are branches of a fork.
    pub versions: Vec<ObjectVersion>,
    /// How many of them are the newest: more than one where there is a fork now.
    pub heads: usize,
    /// The version that this node wrote last, where the newest does not follow it: another
    /// node with its key wrote on without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overtaken: Option<ObjectVersion>,
    /// The first version whose content is kept, where those before it were pruned here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept_from: Option<u64>,
    /// Whether there are older ones.
    pub more: bool,
    /// The record that could not be got, and why; what is before it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<String>,
}

/// A line of what comes while a version is archived or restored: how far it is, and at last one
/// of the others.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ArchiveEvent {
    /// How far it is.
    Progress(JobProgress),
    /// It is archived.
    Added(ArchiveAdded),
    /// It is restored.
    Restored(ArchiveRestored),
    /// It failed.
    Failed(Failure),
}

/// How far a job is.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
pub struct JobProgress {
    /// Bytes done.
    pub done: u64,
    /// Bytes in all, about; 0 where that is not known.
    pub total: u64,
}

/// An archived version.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ArchivedVersion {
    /// Name of the object in its owner's namespace.
    pub name: String,
    /// Which version.
    pub version: u64,
    /// CID of its record.
    pub vguid: String,
    /// When it was archived, Unix seconds.
    pub archived: u64,
    /// Fragments of each part that are enough.
    pub needed: usize,
    /// Fragments that each part has.
    pub fragments: usize,
    /// Bytes archived.
    pub bytes: u64,
}

/// What came of archiving a version.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ArchiveAdded {
    /// The archive.
    pub archive: ArchivedVersion,
    /// Nodes that got fragments.
    pub nodes: usize,
    /// Parts that it was cut into.
    pub parts: usize,
    /// Fragments that could not be stored; they are made later.
    pub missing: u64,
    /// Why the first of them could not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What came of restoring a version.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ArchiveRestored {
    /// The archive.
    pub archive: ArchivedVersion,
    /// CID of the content.
    pub root: String,
    /// Blocks that are stored again.
    pub blocks: u64,
    /// Fragments in whose place others were taken.
    pub missing: u64,
    /// Of these, fragments that were damaged.
    pub damaged: u64,
    /// Whether the name leads to the version again, or to a later one.
    pub named: bool,
}

/// How an archive is, counted now.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ArchiveStatus {
    /// The archive.
    pub archive: ArchivedVersion,
    /// Parts that it was cut into.
    pub parts: usize,
    /// Fragments of the part of which fewest are there.
    pub least: usize,
    /// Fragments of all parts that are there.
    pub there: u64,
    /// Fragments of all parts.
    pub wanted: u64,
    /// Nodes that have them.
    pub nodes: usize,
    /// The fragments with each index: where they belong, and how many are there.
    pub columns: Vec<ArchiveColumn>,
    /// What this node saw when it looked after it last, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub looked: Option<ArchiveLooked>,
}

/// All fragments of an archive with one index, which are at one node.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ArchiveColumn {
    /// The node they belong to, where somebody knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer_id: Option<String>,
    /// How many of them are there, as it says.
    pub there: usize,
    /// Why it did not say, where it did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What a node saw of an archive that it looks after.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
pub struct ArchiveLooked {
    /// When, Unix seconds.
    pub at: u64,
    /// Fragments that were there.
    pub there: u64,
    /// Fragments that it made anew, or brought to their place.
    pub made: u64,
    /// Parts with too few fragments to make others.
    pub lost: u64,
}

/// The archives of a node, and what it keeps for all.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ArchiveOverview {
    /// Those of its own names.
    pub archives: Vec<ArchivedVersion>,
    /// Archives that it looks after.
    pub looked_after: usize,
    /// Fragments that it keeps.
    pub fragments: u64,
    /// Their bytes.
    pub fragment_bytes: u64,
    /// Manifests that it keeps.
    pub manifests: u64,
    /// Their bytes.
    pub manifest_bytes: u64,
}

/// What is archived by itself.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ArchivePolicyStatus {
    /// Names of this node that begin so are; an empty one means all.
    pub prefixes: Vec<String>,
    /// Names whose newest version is still to be archived.
    pub waiting: usize,
    /// Versions that were archived so since the start.
    pub archived: u64,
    /// The last names that could not be archived.
    pub failures: Vec<ArchiveFailure>,
}

/// A name that could not be archived.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ArchiveFailure {
    /// Which.
    pub name: String,
    /// Why.
    pub reason: String,
}

/// What a named object is.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct NamedStat {
    /// Its name in its owner's namespace.
    pub name: String,
    /// PeerId of the key that owns it.
    pub owner: String,
    /// Whether that is this node's.
    pub mine: bool,
    /// What this node calls that key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
    /// The object's lasting name, 32 hexadecimal digits.
    pub aguid: String,
    /// Number of the newest version.
    pub newest: u64,
    /// The version asked for; not there where the newest was and there is a fork.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<ObjectVersion>,
    /// All newest versions where there is a fork, else none.
    pub fork: Vec<ObjectVersion>,
    /// Its content; not there in a removal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<ObjectStat>,
    /// The nodes whose duty it is to keep the newest record, the closest to it first.
    pub keepers: Vec<Keeper>,
}

/// A version that was made.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ObjectWritten {
    /// The version.
    pub version: ObjectVersion,
    /// All newest versions where there is a fork now, else none.
    #[serde(default)]
    pub fork: Vec<ObjectVersion>,
    /// Where its record is durable as the newest.
    pub stored: Stored,
}

/// What is newest of an object that is watched.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ObjectEvent {
    /// The object as it was asked for.
    pub reference: String,
    /// The object's lasting name, 32 hexadecimal digits.
    pub aguid: String,
    /// Number of the newest version.
    pub newest: u64,
    /// The newest version, without a root where it is a removal; not there where there is a
    /// fork.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<ObjectVersion>,
    /// All newest versions where there is a fork, else none.
    pub fork: Vec<ObjectVersion>,
}

/// What to do to a named object, and on which conditions: 16 clauses at most.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateRequest {
    /// The first whose predicates all hold is carried out.
    pub clauses: Vec<UpdateClause>,
}

/// Predicates and actions, 16 of each at most.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateClause {
    /// All must hold.
    #[serde(default, rename = "if")]
    pub predicates: Vec<UpdatePredicate>,
    /// One after the other; together they make one version.
    #[serde(rename = "do")]
    pub actions: Vec<UpdateAction>,
}

/// Something that holds of the newest version, or does not.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum UpdatePredicate {
    /// It has this number; 0: there is none, or it is a removal.
    Version(u64),
    /// It is this record.
    Vguid(String),
    /// Its content has so many bytes.
    Size(u64),
    /// The raw leaf of its file that begins there is this block.
    Block {
        /// Where the leaf begins.
        offset: u64,
        /// The leaf.
        cid: String,
    },
}

/// Something that is done.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum UpdateAction {
    /// The content is this file or directory, all of whose blocks are stored.
    Set(String),
    /// Bytes of the file are replaced.
    Splice {
        /// Where; not there: at the end.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        offset: Option<u64>,
        /// How many go.
        #[serde(default)]
        delete: u64,
        /// What comes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        insert: Option<UpdateInsert>,
    },
    /// The content is that of an older version: `v3`, or a VGUID.
    Restore(String),
    /// The object is removed; its versions stay.
    Remove,
}

/// What comes into a file.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum UpdateInsert {
    /// Bytes, base64.
    Bytes(String),
    /// CID of a file.
    File(String),
}

/// Where two files differ.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Diff {
    /// The one.
    pub a: DiffSide,
    /// The other.
    pub b: DiffSide,
    /// The stretches that are not made of the same blocks.
    pub ranges: Vec<DiffRange>,
}

/// One of two files.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct DiffSide {
    /// Its CID.
    pub cid: String,
    /// Its bytes.
    pub size: u64,
}

/// A stretch of two files.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct DiffRange {
    /// Where it begins.
    pub offset: u64,
    /// Bytes of it.
    pub length: u64,
}

/// What this node calls somebody's key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Alias {
    /// The alias.
    pub alias: String,
    /// PeerId, base58.
    pub peer_id: String,
}

/// Which access key to make.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct S3KeyRequest {
    /// What a person calls it: 1 to 64 bytes without control characters.
    pub label: String,
}

/// An access key of the S3 door.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct S3Key {
    /// The access key, which requests name.
    pub access_key: String,
    /// What a person calls it.
    pub label: String,
    /// When it was made, Unix seconds.
    pub created: u64,
}

/// An access key that was just made: the secret is told this once.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct S3KeyMade {
    /// The access key, which requests name.
    pub access_key: String,
    /// The secret, which signs them.
    pub secret_key: String,
    /// What a person calls it.
    pub label: String,
    /// Address of the door.
    pub endpoint: String,
    /// The region to name; the door takes any.
    pub region: String,
}

/// How full the web cache is, and what it has done since the node started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WebCacheStatus {
    /// What clients set as their `http_proxy`.
    pub proxy: String,
    /// Whether no origin is asked.
    pub offline: bool,
    /// Bytes that it may take.
    pub room: u64,
    /// Bytes that it takes.
    pub bytes: u64,
    /// Answers kept.
    pub objects: u64,
    /// Requests of clients, tunnels included.
    pub requests: u64,
    /// Answered from what is kept.
    pub hits: u64,
    /// Answered from what is kept after the origin said that it is current.
    pub validated: u64,
    /// Answered from what was on its way for another client.
    pub collapsed: u64,
    /// Answered by an origin.
    pub misses: u64,
    /// Refused, or without an answer.
    pub failed: u64,
    /// Answers of origins that were kept.
    pub stored: u64,
    /// What it did with other nodes.
    pub shared: WebCacheShared,
    /// Hosts whose `https` it reads.
    #[serde(default)]
    pub intercepted: WebCacheIntercepted,
}

/// Hosts whose `https` the web cache reads, and how it went since the node started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WebCacheIntercepted {
    /// As they are listed.
    pub hosts: Vec<String>,
    /// Connections to them.
    pub connections: u64,
    /// Connections on which no TLS began: of clients that do not trust the authority, or asked for
    /// another name.
    pub failed: u64,
}

/// Who vouches to clients of this machine for the hosts whose `https` the web cache reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WebCacheAuthority {
    /// Its certificate, in PEM.
    pub certificate: String,
    /// SHA-256 of the certificate, in hexadecimal digits.
    pub sha256: String,
    /// The hosts that it can vouch for.
    pub hosts: Vec<String>,
    /// When it counts no more, Unix seconds.
    pub until: u64,
}

/// What the web cache did with those of other nodes since the node started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WebCacheShared {
    /// Answered with what another node had.
    pub peer_hits: u64,
    /// Answered with what another node got from the origin for it.
    pub peer_misses: u64,
    /// Answered from what is kept after another node said that it is current.
    pub peer_validated: u64,
    /// Nodes that were silent or out of reach when they were asked.
    pub peers_silent: u64,
    /// Answers of nodes that could not be used.
    pub peers_wrong: u64,
    /// Bodies that had not the digest that their URL names.
    pub wrong_digests: u64,
    /// Bodies given to other nodes.
    pub served: u64,
    /// Bytes of them.
    pub served_bytes: u64,
    /// Questions of other nodes.
    pub asked: u64,
    /// Origins asked on behalf of other nodes.
    pub fetched_for_peers: u64,
    /// Origins that were not, since they are none of the public's.
    pub not_public: u64,
    /// Objects taken over as their new home.
    pub taken_over: u64,
}

/// An answer that the web cache keeps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WebCacheObject {
    /// What was asked for.
    pub url: String,
    /// Status of the answer.
    pub status: u16,
    /// Bytes of its body.
    pub size: u64,
    /// Seconds for which it is still fresh.
    pub fresh_seconds: u64,
}

/// Answers that the web cache keeps, by URL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WebCacheObjects {
    /// They.
    pub objects: Vec<WebCacheObject>,
    /// Whether there are more.
    pub more: bool,
}

/// A URL for the web cache.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WebCacheUrl {
    /// The URL, beginning with http://.
    pub url: String,
}

/// What came of asking for a URL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WebCacheWarmed {
    /// What was asked for.
    pub url: String,
    /// Status of the answer.
    pub status: u16,
    /// Bytes of its body.
    pub bytes: u64,
    /// What the cache did (RFC 9211).
    pub cache_status: String,
    /// Why the body broke off, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broken: Option<String>,
}

/// What the web cache has forgotten.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WebCachePurged {
    /// Answers.
    pub removed: u64,
}
