//! `hedgerow object`.

use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;
use cid::Cid;
use http::Method;
use node::{
    api::types::{DirectoryEntry, ObjectStat},
    start_failure::is_refusal,
};
use serde_json::json;
use unixfs::{ExportError, ExportOptions, ImportError, Options, Progress, RootOnce};

use crate::{
    args::Object,
    blocks_api::ApiBlocks,
    client::Client,
    exit::{Code, Failure},
    output::{Bar, Output, size},
};

/// Blocks in flight between this program and the node: enough to hide the round trips
/// to several peers, and 32 MiB at most.
const IN_FLIGHT: usize = 32;

pub(crate) async fn run(command: Object, client: &Client, output: &Output) -> Result<(), Failure> {
    match command {
        Object::Put { path } => {
            interruptible(put(&path, client, output), || {
                Failure::other("interrupted: nothing is lost, putting it again goes on from here")
            })
            .await
        }
        Object::Get {
            reference,
            output: to,
        } => {
            let cid = parse(&reference)?;
            let to = to.unwrap_or_else(|| PathBuf::from(cid.to_string()));
            interruptible(get(&cid, &to, client, output), || {
                Failure::other(format!("interrupted{}", part_note(&cid, &to)))
            })
            .await
        }
        Object::Stat { reference } => {
            let cid = parse(&reference)?;
            let stat: ObjectStat = client.get(&format!("/api/v1/objects/{cid}/stat")).await?;
            output.result(&stat, |out| {
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
                    let says = match (keeper.has, &keeper.reason) {
                        (Some(true), _) => "has it",
                        (Some(false), _) => "does not have it yet",
                        (None, reason) => reason.as_deref().unwrap_or("did not answer"),
                    };
                    writeln!(out, "keeper  {} {says}", keeper.peer_id)?;
                }
                for copy in &stat.copies {
                    writeln!(out, "copy    {copy}")?;
                }
                if let Some(target) = &stat.target {
                    writeln!(out, "target  {target}")?;
                }
                Ok(())
            })
        }
        Object::Ls { reference } => {
            let cid = parse(&reference)?;
            let entries: Vec<DirectoryEntry> =
                client.get(&format!("/api/v1/objects/{cid}/ls")).await?;
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
    }
}

/// What a command that is cut off by its `--timeout` leaves behind, if it is a get.
pub(super) fn left_behind(command: &Object) -> String {
    let Object::Get { reference, output } = command else {
        return String::new();
    };
    let Ok(cid) = parse(reference) else {
        return String::new();
    };
    let to = output
        .clone()
        .unwrap_or_else(|| PathBuf::from(cid.to_string()));
    part_note(&cid, &to)
}

/// Reads `CID`, `/ipfs/CID` and `ipfs://CID`.
fn parse(reference: &str) -> Result<Cid, Failure> {
    let text = reference
        .strip_prefix("/ipfs/")
        .or_else(|| reference.strip_prefix("ipfs://"))
        .unwrap_or(reference)
        .trim_end_matches('/');
    text.parse().map_err(|error| {
        Failure::usage(format!("{reference:?} is not a CID: {error}"))
            .with_hint("a CID is what `hedgerow object put` printed, as in bafkrei...")
    })
}

async fn interruptible(
    work: impl Future<Output = Result<(), Failure>>,
    interrupted: impl FnOnce() -> Failure,
) -> Result<(), Failure> {
    tokio::select! {
        result = work => result,
        _ = tokio::signal::ctrl_c() => Err(interrupted()),
    }
}

async fn put(path: &Path, client: &Client, output: &Output) -> Result<(), Failure> {
    let blocks = ApiBlocks::new(client.clone());
    let options = Options {
        concurrency: IN_FLIGHT,
        ..Options::default()
    };
    let imported = if path == Path::new("-") {
        unixfs::import_reader(tokio::io::stdin(), &blocks, &options).await
    } else {
        let total = std::fs::metadata(path).ok().filter(|meta| meta.is_file());
        let bar = output.bar(total.map(|meta| meta.len()), "putting");
        let count = Counter::new(&bar);
        let imported = unixfs::import_path(path, &blocks, &options, &|step| count.add(step)).await;
        bar.done();
        imported
    };
    let imported = imported.map_err(import_failure)?;
    let path = format!("/api/v1/provided/{}", imported.cid);
    client.call(Method::PUT, &path, Bytes::new(), None).await?;
    let (wanted, fewest) = blocks.replicas().unwrap_or_default();
    let result = json!({
        "cid": imported.cid.to_string(),
        "size": imported.size,
        "blocks": imported.blocks,
        "replicas": { "wanted": wanted, "fewest": fewest },
    });
    output.result(&result, |out| writeln!(out, "{}", imported.cid))?;
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

fn import_failure(error: ImportError) -> Failure {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references() {
        let cid = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku";
        for text in [
            cid.to_owned(),
            format!("/ipfs/{cid}"),
            format!("ipfs://{cid}/"),
        ] {
            assert_eq!(parse(&text).unwrap().to_string(), cid);
        }
        assert_eq!(parse("bafnonsense").unwrap_err().code, Code::Usage);
    }
}
