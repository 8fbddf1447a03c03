//! The command line.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand};
use node::StartOptions;

/// Files and names shared among machines, with no server in the middle.
#[derive(Debug, Parser)]
#[command(
    name = "hedgerow",
    version,
    propagate_version = true,
    subcommand_required = true
)]
#[command(
    after_help = "Exit codes: 0 ok, 1 error, 2 usage, 3 node not running, 4 not found, \
                        5 timed out (try again), 6 refused."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Flags of every command.
#[derive(Args, Clone, Debug)]
pub(crate) struct Global {
    /// The node's home [env: HEDGEROW_HOME] [default: $XDG_DATA_HOME/hedgerow]
    #[arg(long, global = true, value_name = "DIR", help_heading = "Everywhere")]
    pub(crate) home: Option<PathBuf>,
    /// Print results as JSON
    #[arg(long, global = true, help_heading = "Everywhere")]
    pub(crate) json: bool,
    /// Print nothing but results
    #[arg(short, long, global = true, help_heading = "Everywhere")]
    pub(crate) quiet: bool,
    /// Say more on stderr (twice: even more)
    #[arg(short, long, global = true, action = clap::ArgAction::Count, help_heading = "Everywhere")]
    pub(crate) verbose: u8,
    /// Show no progress bars
    #[arg(long, global = true, help_heading = "Everywhere")]
    pub(crate) no_progress: bool,
    /// Give up after this long, as in 30s or 5min
    #[arg(long, global = true, value_name = "TIME", value_parser = humantime::parse_duration, help_heading = "Everywhere")]
    pub(crate) timeout: Option<Duration>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start, stop and look at the node
    #[command(subcommand)]
    Node(Node),
    /// The nodes this one is connected to
    #[command(subcommand)]
    Peers(Peers),
    /// Messages under topics of gossipsub that are shared with other libp2p programs
    #[command(subcommand)]
    Gossip(Gossip),
    /// Keys and peers in the Kademlia table that is shared with other libp2p programs
    #[command(subcommand)]
    Kad(Kad),
    /// The ring: neighbours, routing table, the way to a key
    #[command(subcommand)]
    Overlay(Overlay),
    /// Small signed values under a name
    #[command(subcommand)]
    Dht(Dht),
    /// Objects that are found wherever they are, and messages to them
    #[command(subcommand)]
    Dolr(Dolr),
    /// Files and directories, and their versions under names
    #[command(subcommand)]
    Object(Object),
    /// Versions that outlive the loss of many nodes
    #[command(subcommand)]
    Archive(Archive),
    /// Versions and content that this node keeps whatever happens elsewhere
    #[command(subcommand)]
    Pin(Pin),
    /// Let go of copies that are neither pinned nor owed to others
    Gc {
        /// Only say what would go
        #[arg(long)]
        dry_run: bool,
    },
    /// See whether what is kept is whole, and kept by as many nodes as it should
    Fsck {
        /// Names, versions or CIDs [default: all names of this node, and all pins]
        references: Vec<String>,
        /// Only read what is kept on this node
        #[arg(long, conflicts_with = "references")]
        here: bool,
    },
    /// The web cache: what it has, and what it is to have or to forget
    #[command(subcommand)]
    Cache(Cache),
    /// Keys, and what this node calls them
    #[command(subcommand)]
    Key(Key),
    /// Measure
    #[command(subcommand)]
    Bench(Bench),
    /// Settings
    #[command(subcommand)]
    Config(Config),
    /// Print completions for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Print the version
    Version,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Node {
    /// Run the node in the foreground
    Start(Box<StartOptions>),
    /// Stop the node and wait until it has
    Stop,
    /// How the node is
    Status,
    /// Who the node is
    Id,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Peers {
    /// List the connected nodes
    Ls,
    /// Connect to an address
    Connect {
        /// As in /ip4/192.168.1.20/tcp/4747, with or without /p2p/PEER
        address: String,
    },
    /// Measure round trips to a node
    Ping {
        /// Its PeerId
        peer: String,
        /// How many
        #[arg(short, long, default_value_t = 3)]
        count: u32,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Gossip {
    /// Send a message to whoever listens to a topic
    Publish {
        /// The topic (256 bytes at most)
        topic: String,
        /// The message (64 KiB at most), or - for stdin
        message: String,
    },
    /// Print the messages of a topic as they come
    Listen {
        /// The topic (256 bytes at most)
        topic: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Kad {
    /// The addresses of a peer
    FindPeer {
        /// Its PeerId
        peer: String,
    },
    /// Let this node be found as a provider of a key, until unprovide or the node's end
    Provide {
        /// A CID or any name
        key: String,
    },
    /// Say no more that this node provides a key
    Unprovide {
        /// A CID or any name
        key: String,
    },
    /// The peers that provide a key
    Providers {
        /// A CID or any name
        key: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Overlay {
    /// The routing table and the nearest nodes
    Table,
    /// The neighbours on the ring
    Leafset,
    /// The nodes closest to a key
    Route {
        /// A GUID, a CID, a PeerId or any name
        key: String,
    },
    /// Each hop on the way to a key
    Trace {
        /// A GUID, a CID, a PeerId or any name
        key: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Dht {
    /// Store a value, signed by this node
    Put {
        /// A GUID or any name
        key: String,
        /// The value (64 KiB at most), or - for stdin
        value: String,
        /// How long it is kept
        #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, default_value = "1day")]
        ttl: Duration,
    },
    /// Print a value
    Get {
        /// A GUID or any name
        key: String,
    },
    /// Take this node's value away
    Remove {
        /// A GUID or any name
        key: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Dolr {
    /// Let this node be found for a key, until unpublish or the node's end
    Publish {
        /// A GUID, a CID or any name
        key: String,
        /// Print the messages sent to it as they come; found for as long as this runs
        #[arg(long)]
        listen: bool,
    },
    /// Let this node be found for a key no more
    Unpublish {
        /// A GUID, a CID or any name
        key: String,
    },
    /// The nearest nodes that publish a key
    Locate {
        /// A GUID, a CID or any name
        key: String,
        /// At most so many
        #[arg(short = 'n', long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=16))]
        count: u8,
    },
    /// Send a message to whoever listens at the nearest nodes that publish a key
    Send {
        /// A GUID, a CID or any name
        key: String,
        /// The message (64 KiB at most), or - for stdin
        message: String,
        /// To at most so many nodes
        #[arg(short = 'n', long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=16))]
        count: u8,
    },
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Object {
    /// Store a file or a directory and print its CID, or as the newest version of a name
    Put {
        /// The file or directory, or - for stdin
        path: PathBuf,
        /// The name, as in photos/cat.jpg
        name: Option<String>,
        /// Only if the newest version has this number; 0: only if there is none
        #[arg(long, value_name = "N", requires = "name")]
        if_version: Option<u64>,
        /// Where files are cut: size-BYTES, or fastcdc[-BYTES], where the content says so
        #[arg(long, default_value_t = unixfs::Chunking::default())]
        chunker: unixfs::Chunking,
    },
    /// Fetch a file or a directory
    Get {
        /// NAME, NAME@vN, OWNER:NAME, hedgerow:AGUID, CID, /ipfs/CID or ipfs://CID
        reference: String,
        /// Where to, or - for stdout [default: the last part of the name, or the CID]
        #[arg(short, long)]
        output: Option<PathBuf>,
    },
    /// What an object is
    Stat {
        /// NAME, NAME@vN, OWNER:NAME, hedgerow:AGUID, CID, /ipfs/CID or ipfs://CID
        reference: String,
    },
    /// The names that begin with a prefix, or what is in a directory
    Ls {
        /// A prefix, after OWNER: for somebody else's names; or a CID or NAME@vN of a directory
        prefix: Option<String>,
    },
    /// The versions of a name, newest first
    Versions {
        /// NAME, OWNER:NAME or hedgerow:AGUID
        name: String,
        /// At most so many
        #[arg(short = 'n', long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=1000))]
        limit: u16,
    },
    /// Print each new version of names as it comes, beginning with the newest there is
    Watch {
        /// NAME, OWNER:NAME or hedgerow:AGUID; one that does not exist yet is waited for
        #[arg(required = true, num_args = 1..=64)]
        names: Vec<String>,
    },
    /// Where two files differ, by their blocks
    Diff {
        /// NAME@vN or CID
        a: String,
        /// NAME@vN or CID
        b: String,
    },
    /// Make an older version, or one of a fork, the newest
    Restore {
        /// NAME@vN or NAME@VGUID
        reference: String,
    },
    /// Remove a name; its versions stay
    Rm {
        /// The name
        name: String,
        /// Only if the newest version has this number
        #[arg(long, value_name = "N")]
        if_version: Option<u64>,
    },
    /// Keep only some versions; what no other needs goes from all nodes, a day later
    Prune {
        /// Names of this node
        names: Vec<String>,
        /// And all that begin so, removed ones as well; "" for all
        #[arg(long, value_name = "PREFIX", required_unless_present = "names")]
        prefix: Option<String>,
        #[command(flatten)]
        keep: KeepVersions,
        /// Only say what would be pruned
        #[arg(long)]
        dry_run: bool,
    },
    /// Change a part of a file; what comes is read from stdin
    Write {
        /// The name
        name: String,
        #[command(flatten)]
        how: WriteHow,
        /// Only if the newest version has this number; 0: only if there is none
        #[arg(long, value_name = "N")]
        if_version: Option<u64>,
    },
}

/// Which versions are kept; the newest always is.
#[derive(Args, Clone, Debug)]
#[group(id = "keep", required = true, multiple = true)]
pub(crate) struct KeepVersions {
    /// Keep so many of the newest
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) keep_last: Option<u64>,
    /// Keep those that were the newest at some time within so long, as in 30days
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub(crate) keep_for: Option<Duration>,
}

/// Where a write goes, and what of the file it takes the place of.
#[derive(Args, Clone, Debug)]
#[group(id = "how")]
pub(crate) struct WriteHow {
    /// Where, in bytes: overwrites as many bytes as come, unless --insert, --delete or --truncate
    #[arg(
        long,
        value_name = "N",
        required_unless_present = "append",
        conflicts_with = "append"
    )]
    pub(crate) offset: Option<u64>,
    /// Write behind the end
    #[arg(long)]
    pub(crate) append: bool,
    /// Overwrite nothing
    #[arg(long, requires = "offset")]
    pub(crate) insert: bool,
    /// Delete so many bytes; stdin is not read
    #[arg(long, value_name = "N", requires = "offset", conflicts_with_all = ["insert", "truncate"])]
    pub(crate) delete: Option<u64>,
    /// Cut the file off there; stdin is not read
    #[arg(long, requires = "offset", conflicts_with = "insert")]
    pub(crate) truncate: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Archive {
    /// Spread a version over many nodes as fragments, of which about half are enough
    Add {
        /// NAME or NAME@vN, a name of this node
        reference: String,
        /// Also if it is archived already: chooses nodes anew
        #[arg(long)]
        again: bool,
    },
    /// Store all blocks of an archived version again
    Restore {
        /// NAME, NAME@vN, OWNER:NAME, hedgerow:AGUID or the VGUID of a version
        reference: String,
    },
    /// Names whose versions are archived by themselves
    #[command(subcommand)]
    Policy(ArchivePolicy),
    /// How many fragments of an archive are there, or what this node has archived
    Status {
        /// NAME, NAME@vN, OWNER:NAME, hedgerow:AGUID or the VGUID of a version
        reference: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ArchivePolicy {
    /// Archive each version of these names, once it has been the newest for a minute
    Add {
        /// How the names begin; "" for all names of this node
        prefix: String,
    },
    /// Which names these are, and how far it is
    Ls,
    /// Archive them by themselves no more; what is archived stays
    Rm {
        /// As it was added
        prefix: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Pin {
    /// Get all of a version, or of content, and keep it
    Add {
        /// NAME, NAME@vN, OWNER:NAME, hedgerow:AGUID or a CID
        reference: String,
        /// Return at once; `pin ls` says how far it is
        #[arg(long)]
        no_wait: bool,
    },
    /// What is pinned, and how much of it is here
    Ls,
    /// Keep it no longer; nothing is removed by this
    Rm {
        /// NAME for all its versions, NAME@vN, OWNER:NAME, hedgerow:AGUID or a CID
        reference: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Cache {
    /// How full it is, and what it has done since the node started
    Stats,
    /// List what it keeps
    Ls {
        /// How the URLs begin [default: all]
        prefix: Option<String>,
    },
    /// Ask for URLs, so that they are there when somebody wants them
    Warm {
        /// The URLs, beginning with http://
        #[arg(required = true, value_name = "URL")]
        urls: Vec<String>,
    },
    /// Forget what URLs have answered
    Purge(CachePurge),
    /// Print the certificate that clients have to trust for hosts whose https it reads
    /// (webcache.intercept), and how they are told to
    Ca,
    /// Have pip, npm and others ask it: shows what would be set where, --write sets it
    Setup(CacheSetup),
}

#[derive(Args, Debug)]
pub(crate) struct CacheSetup {
    /// Whose settings [default: how it stands with all of them]
    pub(crate) client: Option<CacheClient>,
    /// Set it in the client's own file
    #[arg(long, requires = "client", group = "change")]
    pub(crate) write: bool,
    /// Take back what --write has set
    #[arg(long, requires = "client", group = "change")]
    pub(crate) undo: bool,
    /// Replace another value; with --undo: remove it also where it was changed since
    #[arg(long, requires = "change")]
    pub(crate) force: bool,
    /// The proxy's port [default: the node's]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) port: Option<u16>,
    /// Where the machine's settings are
    #[arg(long, value_name = "DIR", default_value = "/etc", hide = true)]
    pub(crate) etc: PathBuf,
}

/// A program that gets packages, images or the like from a registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum CacheClient {
    /// Python's packages, from pypi.org
    Pip,
    /// JavaScript's packages, from registry.npmjs.org
    Npm,
    /// Rust's crates, from crates.io
    Cargo,
    /// Go's modules, from proxy.golang.org
    Go,
    /// Debian's packages, from http:// sources
    Apt,
    /// Java's packages, from Maven Central
    Maven,
    /// Images of docker.io, by containerd
    Oci,
}

impl std::fmt::Display for CacheClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Pip => "pip",
            Self::Npm => "npm",
            Self::Cargo => "cargo",
            Self::Go => "go",
            Self::Apt => "apt",
            Self::Maven => "maven",
            Self::Oci => "oci",
        })
    }
}

#[derive(Args, Debug)]
pub(crate) struct CachePurge {
    /// The URLs
    #[arg(required_unless_present = "all", value_name = "URL")]
    pub(crate) urls: Vec<String>,
    /// Forget everything
    #[arg(long, conflicts_with = "urls")]
    pub(crate) all: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Key {
    /// What this node calls other people's keys
    #[command(subcommand)]
    Alias(KeyAlias),
    /// Who may use the S3 door
    #[command(subcommand)]
    S3(KeyS3),
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeyS3 {
    /// Make an access key; its secret is shown this once
    Create {
        /// What to call it, as in laptop-backup
        #[arg(default_value = "s3")]
        label: String,
    },
    /// List the access keys
    Ls,
    /// Forget an access key: what it signs is refused from then on
    Rm {
        /// The access key
        access_key: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeyAlias {
    /// Call a key so
    Add {
        /// The alias, as in bob for bob:photos/cat.jpg
        alias: String,
        /// The PeerId of the node whose key it is
        peer: String,
    },
    /// List the aliases
    Ls,
    /// Forget an alias
    Rm {
        /// The alias
        alias: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Bench {
    /// Verified block transfer between two nodes, against a raw stream and the disk
    Transfer(Transfer),
}

/// Flags of `bench transfer`.
#[derive(Args, Clone, Debug)]
pub(crate) struct Transfer {
    /// Bytes to move, with a unit as in 256MiB
    #[arg(long, default_value = "1GiB", value_parser = parse_size)]
    pub(crate) size: u64,
    /// Runs; the medians are reported
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) runs: u32,
    /// Also measure the disk store in this directory, against durable writes there
    #[arg(long, value_name = "DIR")]
    pub(crate) disk: Option<PathBuf>,
    /// Blocks in flight
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) in_flight: u32,
    /// Only this transport
    #[arg(long)]
    pub(crate) transport: Option<TransportName>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum TransportName {
    Tcp,
    Quic,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Each setting, its value and where it came from
    Show,
}

/// Reads `1GiB`, `256MiB`, `4KiB`, `1048576`.
fn parse_size(text: &str) -> Result<u64, String> {
    let units = [
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
        ("B", 1),
    ];
    let (number, unit) = units
        .iter()
        .find_map(|(name, unit)| text.strip_suffix(name).map(|number| (number, *unit)))
        .unwrap_or((text, 1u64));
    number
        .trim()
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(unit))
        .filter(|size| *size > 0)
        .ok_or_else(|| "expected a number of bytes above zero, as in 256MiB".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        crate::command().debug_assert();
    }

    #[test]
    fn sizes() {
        assert_eq!(parse_size("1GiB"), Ok(1 << 30));
        assert_eq!(parse_size("4096"), Ok(4096));
        assert_eq!(parse_size("7B"), Ok(7));
        assert!(parse_size("0").is_err());
        assert!(parse_size("99999999999GiB").is_err());
        assert!(parse_size("much").is_err());
    }
}
