//! `hedgerow object`.

use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;
use cid::Cid;
use http::Method;
use node::{
    api::types::{DirectoryEntry, Keeper, ObjectStat, PruneRequest, UpdateAction},
    start_failure::is_refusal,
};
use objects::{Name, ReferenceError, Spoken, Version};
use serde_json::json;
use unixfs::{ExportError, ExportOptions, ImportError, Options, Progress, RootOnce};

use super::{named, prune, segment, watch};
use crate::{
    args::Object,
    blocks_api::ApiBlocks,
    client::Client,
    exit::{Code, Failure},
    output::{Bar, Output, size},
};

/// Blocks in flight between this program and the node: enough to hide the round trips
/// to several peers, and 32 MiB at most.
pub(super) const IN_FLIGHT: usize = 32;

pub(crate) async fn run(command: Object, client: &Client, output: &Output) -> Result<(), Failure> {
    match command {
        Object::Put {
            path,
            name,
            if_version,
            chunker,
        } => {
            let name = name.as_deref().map(named::own_name).transpose()?;
            let options = Options {
                concurrency: IN_FLIGHT,
                chunking: chunker,
                ..Options::default()
            };
            interruptible(
                put(&path, name, if_version, &options, client, output),
                || {
                    Failure::other(
                        "interrupted: nothing is lost, putting it again goes on from here",
                    )
                },
            )
            .await
        }
        Object::Get {
            reference,
            output: to,
        } => {
            let (cid, name) = match parse(&reference)? {
                Spoken::Content(cid) => (cid, cid.to_string()),
                Spoken::Object(_) => named::content(&reference, client).await?,
            };
            let to = to.unwrap_or_else(|| PathBuf::from(name));
            interruptible(get(&cid, &to, client, output), || {
                Failure::other(format!("interrupted{}", part_note(&cid, &to)))
            })
            .await
        }
        Object::Stat { reference } => match parse(&reference)? {
            Spoken::Content(cid) => {
                let stat: ObjectStat = client.get(&format!("/api/v1/objects/{cid}/stat")).await?;
                output.result(&stat, |out| write_stat(&stat, out))
            }
            Spoken::Object(_) => named::stat(&reference, client, output).await,
        },
        Object::Ls { prefix } => {
            let prefix = prefix.unwrap_or_default();
            let path = match Spoken::parse(&prefix) {
                Ok(Spoken::Content(cid)) => format!("/api/v1/objects/{cid}/ls"),
                Ok(Spoken::Object(reference)) if reference.version != Version::Newest => {
                    format!("/api/v1/named/{}/ls", segment(&prefix))
                }
                // Half a CID, or what claims to be one, is no prefix.
                Err(error @ ReferenceError::Cid(_)) => return Err(malformed(&error)),
                Ok(Spoken::Object(_)) | Err(_) => {
                    return named::list(&prefix, client, output).await;
                }
            };
            let entries: Vec<DirectoryEntry> = client.get(&path).await?;
            output.result(&entries, |out| {
                for entry in &entries {
                    writeln!(
                        out,
                        "{}  {:>12}  {:9}  {}",
                        entry.cid, entry.size, entry.kind, entry.name
                    )?;
                }
                Ok(())
            })
        }
        Object::Versions { name, limit } => named::versions(&name, limit, client, output).await,
        Object::Watch { names } => watch::watch(&names, client, output).await,
        Object::Diff { a, b } => named::diff(&a, &b, client, output).await,
        Object::Restore { reference } => named::restore(&reference, client, output).await,
        Object::Rm { name, if_version } => named::remove(&name, if_version, client, output).await,
        Object::Prune {
            names,
            prefix,
            keep,
            dry_run,
        } => {
            let request = PruneRequest {
                names,
                prefix,
                keep_last: keep.keep_last,
                keep_seconds: keep.keep_for.map(|time| time.as_secs()),
                dry: dry_run,
            };
            interruptible(prune::prune(request, client, output), || {
                Failure::other("interrupted: the node goes on; the same again does no harm")
            })
            .await
        }
        Object::Write {
            name,
            how,
            if_version,
        } => {
            interruptible(
                named::write(&name, &how, if_version, client, output),
                || Failure::other("interrupted: whether it was written, `object versions` says"),
            )
            .await
        }
    }
}

/// What stands behind a CID, for people.
pub(super) fn write_stat(stat: &ObjectStat, out: &mut dyn std::io::Write) -> std::io::Result<()> {
    writeln!(out, "cid     {}", stat.cid)?;
    writeln!(out, "kind    {}", stat.kind)?;
    writeln!(out, "size    {} ({})", stat.size, size(stat.size))?;
    writeln!(
        out,
        "stored  {} ({})",
        stat.cumulative_size,
        size(stat.cumulative_size)
    )?;
    writeln!(out, "links   {}", stat.links)?;
    for keeper in &stat.keepers {
        writeln!(out, "keeper  {}", describe_keeper(keeper))?;
    }
    for copy in &stat.copies {
        writeln!(out, "copy    {copy}")?;
    }
    if let Some(target) = &stat.target {
        writeln!(out, "target  {target}")?;
    }
    Ok(())
}

/// A keeper and what it says.
pub(super) fn describe_keeper(keeper: &Keeper) -> String {
    let says = match (keeper.has, &keeper.reason) {
        (Some(true), _) => "has it",
        (Some(false), _) => "does not have it yet",
        (None, reason) => reason.as_deref().unwrap_or("did not answer"),
    };
    format!("{} {says}", keeper.peer_id)
}

/// What a command that is cut off by its `--timeout` leaves behind, if it is a get.
pub(super) fn left_behind(command: &Object) -> String {
    let Object::Get { reference, output } = command else {
        return String::new();
    };
    let Ok(Spoken::Content(cid)) = parse(reference) else {
        return String::new();
    };
    let to = output
        .clone()
        .unwrap_or_else(|| PathBuf::from(cid.to_string()));
    part_note(&cid, &to)
}

/// Reads a CID or the name of a version.
fn parse(reference: &str) -> Result<Spoken, Failure> {
    Spoken::parse(reference).map_err(|error| malformed(&error))
}

pub(super) fn malformed(error: &ReferenceError) -> Failure {
    let failure = Failure::usage(error);
    match error {
        ReferenceError::Cid(_) => {
            failure.with_hint("a CID is what `hedgerow object put` printed, as in bafkrei...")
        }
        ReferenceError::Name(_) => failure.with_hint(
            "a name has parts divided by /, as in photos/cat.jpg, and @v3 behind it says a version",
        ),
        _ => failure,
    }
}

pub(super) async fn interruptible<T>(
    work: impl Future<Output = Result<T, Failure>>,
    interrupted: impl FnOnce() -> Failure,
) -> Result<T, Failure> {
    tokio::select! {
        result = work => result,
        _ = tokio::signal::ctrl_c() => Err(interrupted()),
    }
}

async fn put(
    path: &Path,
    name: Option<Name>,
    if_version: Option<u64>,
    options: &Options,
    client: &Client,
    output: &Output,
) -> Result<(), Failure> {
    let blocks = ApiBlocks::new(client.clone());
    let imported = if path == Path::new("-") {
        unixfs::import_reader(tokio::io::stdin(), &blocks, options).await
    } else {
        let total = std::fs::metadata(path).ok().filter(|meta| meta.is_file());
        let bar = output.bar(total.map(|meta| meta.len()), "putting");
        let count = Counter::new(&bar);
        let imported = unixfs::import_path(path, &blocks, options, &|step| count.add(step)).await;
        bar.done();
        imported
    };
    let imported = imported.map_err(import_failure)?;
    // What has a name is needed for its sake, and as long as it is.
    let keep = name.is_none();
    let path = format!("/api/v1/provided/{}?keep={keep}", imported.cid);
    client.call(Method::PUT, &path, Bytes::new(), None).await?;
    let version = match &name {
        None => None,
        Some(name) => {
            let set = UpdateAction::Set(imported.cid.to_string());
            Some(named::update(name.as_str(), if_version, set, client).await?)
        }
    };
    let (wanted, fewest) = blocks.replicas().unwrap_or_default();
    let mut result = json!({
        "cid": imported.cid.to_string(),
        "size": imported.size,
        "blocks": imported.blocks,
        "replicas": { "wanted": wanted, "fewest": fewest },
    });
    if let Some(written) = &version {
        result["version"] = json!(written.version);
        result["fork"] = json!(written.fork);
    }
    output.result(&result, |out| match &version {
        None => writeln!(out, "{}", imported.cid),
        Some(written) => writeln!(out, "{}", named::describe(&written.version)),
    })?;
    if let Some(written) = &version {
        named::say_fork(written, output);
    }
    if fewest < wanted {
        output.say(format_args!(
            "some blocks are on {fewest} of {wanted} nodes so far; the other copies follow"
        ));
    }
    if let Some(failed) = blocks.example_of_failure() {
        output.say(format_args!(
            "not stored on {}: {}",
            failed.peer_id, failed.reason
        ));
    }
    Ok(())
}

async fn get(cid: &Cid, to: &Path, client: &Client, output: &Output) -> Result<(), Failure> {
    let blocks = RootOnce::new(*cid, ApiBlocks::new(client.clone()));
    if to == Path::new("-") {
        let mut stdout = tokio::io::stdout();
        return match unixfs::export_to_writer(cid, &blocks, &mut stdout, IN_FLIGHT).await {
            Ok(_) => Ok(()),
            // A reader of our output that went away has seen what it wanted.
            Err(ExportError::Write { source, .. })
                if source.kind() == std::io::ErrorKind::BrokenPipe =>
            {
                Ok(())
            }
            Err(error) => Err(export_failure(error)),
        };
    }
    let stat = unixfs::stat(cid, &blocks).await.map_err(export_failure)?;
    let bar = output.bar(Some(stat.size), "getting");
    let count = Counter::new(&bar);
    let options = ExportOptions {
        concurrency: IN_FLIGHT,
        ..ExportOptions::default()
    };
    let exported =
        unixfs::export_to_path(cid, &blocks, to, &options, &|step| count.add(step)).await;
    bar.done();
    exported.map_err(|error| {
        let mut failure = export_failure(error);
        failure.message.push_str(&part_note(cid, to));
        failure
    })?;
    let kept = count.kept.load(Ordering::Relaxed);
    let result = json!({
        "cid": cid.to_string(),
        "path": to,
        "size": stat.size,
        "kept": kept,
    });
    output.result(&result, |out| writeln!(out, "{}", to.display()))?;
    if kept > 0 {
        output.say(format_args!("{} of it were there already", size(kept)));
    }
    Ok(())
}

/// Says where what was fetched so far is kept, if anything is.
fn part_note(cid: &Cid, to: &Path) -> String {
    let part = unixfs::part_path(to, cid);
    if part.exists() {
        format!(
            " ({} is kept: the same command goes on from there)",
            part.display()
        )
    } else {
        String::new()
    }
}

/// Adds the steps up and moves the bar.
struct Counter<'a> {
    bar: &'a Bar,
    bytes: AtomicU64,
    kept: AtomicU64,
}

impl<'a> Counter<'a> {
    fn new(bar: &'a Bar) -> Self {
        Self {
            bar,
            bytes: AtomicU64::new(0),
            kept: AtomicU64::new(0),
        }
    }

    fn add(&self, step: Progress<'_>) {
        let more = match step {
            Progress::Bytes(more) => more,
            Progress::Kept(more) => {
                self.kept.fetch_add(more, Ordering::Relaxed);
                more
            }
            Progress::Entry(_) => 0,
        };
        self.bar
            .set(self.bytes.fetch_add(more, Ordering::Relaxed) + more);
    }
}

pub(super) fn import_failure(error: ImportError) -> Failure {
    match error {
        ImportError::Sink { source, .. } => from_api(source),
        ImportError::Changed(_) => {
            Failure::new(Code::TryAgain, error).with_hint("put it again when it is at rest")
        }
        ImportError::Read { ref source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
            Failure::usage(chain(&error))
        }
        error => on_this_machine(&error),
    }
}

/// A failure of the file system here: refused, if the system says so.
fn on_this_machine(error: &(dyn std::error::Error + 'static)) -> Failure {
    let mut next = Some(error);
    while let Some(cause) = next {
        if is_refusal(cause) {
            return Failure::new(Code::Refused, chain(error));
        }
        next = cause.source();
    }
    Failure::other(chain(error))
}

fn export_failure(error: ExportError) -> Failure {
    match error {
        ExportError::Source { source, .. } => from_api(source),
        ExportError::Exists(_) => Failure::new(Code::Refused, error)
            .with_hint("name another place with -o, or move it away"),
        ExportError::Busy(_) => Failure::new(Code::TryAgain, error),
        error => on_this_machine(&error),
    }
}

/// The failure that the API gave, out of its box.
fn from_api(source: unixfs::BoxError) -> Failure {
    match source.downcast::<Failure>() {
        Ok(failure) => *failure,
        Err(source) => Failure::other(chain(source.as_ref())),
    }
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        text.push_str(": ");
        text.push_str(&error.to_string());
        next = error.source();
    }
    text
}
