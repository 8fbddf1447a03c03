//! `hedgerow archive`.

mod policy;

use node::api::types::{
    ArchiveAdded, ArchiveEvent, ArchiveOverview, ArchiveRestored, ArchiveStatus, ArchivedVersion,
};
use objects::Spoken;

use super::{
    follow::{follow, misunderstood},
    named::time,
    object::{interruptible, malformed},
    segment,
};
use crate::{
    args::Archive,
    client::Client,
    exit::Failure,
    output::{Output, size},
};

pub(crate) async fn run(command: Archive, client: &Client, output: &Output) -> Result<(), Failure> {
    match command {
        Archive::Add { reference, again } => {
            check(&reference)?;
            let path = format!("/api/v1/archive/{}?again={again}", segment(&reference));
            interruptible(add(&path, client, output), || {
                Failure::other(
                    "interrupted: the node goes on; `hedgerow archive status` says when it is done",
                )
            })
            .await
        }
        Archive::Restore { reference } => {
            check(&reference)?;
            let path = format!("/api/v1/archive/{}/restore", segment(&reference));
            interruptible(restore(&path, client, output), || {
                Failure::other("interrupted: the node goes on; restoring again does no harm")
            })
            .await
        }
        Archive::Policy(command) => policy::run(command, client, output).await,
        Archive::Status { reference: None } => overview(client, output).await,
        Archive::Status {
            reference: Some(reference),
        } => {
            check(&reference)?;
            let path = format!("/api/v1/archive/{}", segment(&reference));
            let counted: Vec<ArchiveStatus> = client.get(&path).await?;
            output.result(&counted, |out| {
                for status in &counted {
                    write_status(status, out)?;
                }
                Ok(())
            })
        }
    }
}

pub(super) fn check(reference: &str) -> Result<(), Failure> {
    match Spoken::parse(reference) {
        Ok(_) => Ok(()),
        Err(error) => Err(malformed(&error)),
    }
}

async fn add(path: &str, client: &Client, output: &Output) -> Result<(), Failure> {
    let lines = client.post_lines(path).await?;
    match follow(lines, "archiving", output).await? {
        ArchiveEvent::Added(added) => {
            output.result(&added, |out| writeln!(out, "{}", say_added(&added)))?;
            if added.missing > 0 {
                let reason = added.reason.as_deref().unwrap_or("no reason was given");
                output.say(format_args!(
                    "{} fragments are not stored yet, and are made later: {reason}",
                    added.missing
                ));
            }
            Ok(())
        }
        _ => Err(misunderstood()),
    }
}

async fn restore(path: &str, client: &Client, output: &Output) -> Result<(), Failure> {
    let lines = client.post_lines(path).await?;
    match follow(lines, "restoring", output).await? {
        ArchiveEvent::Restored(restored) => {
            output.result(&restored, |out| writeln!(out, "{}", restored.root))?;
            output.say(say_restored(&restored));
            if restored.missing > 0 {
                output.say(format_args!(
                    "{} fragments were not to be had, {} of them damaged: others were taken",
                    restored.missing, restored.damaged
                ));
            }
            if !restored.named {
                output.say(format_args!(
                    "what the newest version of the name is cannot be told now; the content: hedgerow object get {}",
                    restored.root
                ));
            }
            Ok(())
        }
        _ => Err(misunderstood()),
    }
}

fn version(archive: &ArchivedVersion) -> String {
    format!("{}@v{}", archive.name, archive.version)
}

fn say_added(added: &ArchiveAdded) -> String {
    let ArchivedVersion {
        needed, fragments, ..
    } = added.archive;
    format!(
        "{}  {} nodes: any {needed} of {fragments} fragments",
        version(&added.archive),
        added.nodes
    )
}

fn say_restored(restored: &ArchiveRestored) -> String {
    format!(
        "{} is restored: {} blocks, {}",
        version(&restored.archive),
        restored.blocks,
        size(restored.archive.bytes)
    )
}

fn write_status(status: &ArchiveStatus, out: &mut dyn std::io::Write) -> std::io::Result<()> {
    let archive = &status.archive;
    let (needed, fragments) = (archive.needed, archive.fragments);
    writeln!(out, "version {}", version(archive))?;
    writeln!(out, "vguid   {}", archive.vguid)?;
    writeln!(out, "made    {}", seconds(archive.archived))?;
    writeln!(
        out,
        "size    {} ({}) in {} parts",
        archive.bytes,
        size(archive.bytes),
        status.parts
    )?;
    writeln!(
        out,
        "needed  any {needed} of {fragments} fragments of each part"
    )?;
    writeln!(
        out,
        "there   {} of {} fragments, on {} nodes; at least {} of each part",
        status.there, status.wanted, status.nodes, status.least
    )?;
    for column in &status.columns {
        if let (Some(peer), Some(reason)) = (&column.peer_id, &column.reason) {
            writeln!(out, "silent  {peer} did not say what it has: {reason}")?;
        }
    }
    match status.least.checked_sub(needed) {
        Some(spare) => writeln!(
            out,
            "safe    it outlives the loss of {spare} fragments more"
        )?,
        None => writeln!(out, "safe    no: too few fragments can be reached now")?,
    }
    if let Some(looked) = &status.looked {
        writeln!(
            out,
            "looked  {}: {} fragments were there, {} were made anew, {} parts were beyond repair",
            seconds(looked.at),
            looked.there,
            looked.made,
            looked.lost
        )?;
    }
    Ok(())
}

async fn overview(client: &Client, output: &Output) -> Result<(), Failure> {
    let overview: ArchiveOverview = client.get("/api/v1/archive").await?;
    output.result(&overview, |out| {
        for archive in &overview.archives {
            writeln!(
                out,
                "{}  {}  any {} of {}  {}",
                version(archive),
                seconds(archive.archived),
                archive.needed,
                archive.fragments,
                size(archive.bytes)
            )?;
        }
        Ok(())
    })?;
    output.say(format_args!(
        "this node keeps {} fragments ({}) and {} manifests, and looks after {} archives",
        overview.fragments,
        size(overview.fragment_bytes),
        overview.manifests,
        overview.looked_after
    ));
    Ok(())
}

/// Unix seconds as people read them, in UTC.
pub(super) fn seconds(seconds: u64) -> String {
    time(seconds.saturating_mul(1000))
}
