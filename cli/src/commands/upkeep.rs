//! `hedgerow gc` and `hedgerow fsck`.

use node::api::types::{FsckDone, FsckEvent, FsckRequest, GcDone, GcEvent};

use super::{
    archive::check,
    follow::{follow, misunderstood},
    object::interruptible,
};
use crate::{
    client::Client,
    exit::Failure,
    output::{Output, size},
};

pub(crate) async fn gc(dry_run: bool, client: &Client, output: &Output) -> Result<(), Failure> {
    let work = async {
        let path = format!("/api/v1/gc?dry={dry_run}");
        let lines = client.post_lines(&path).await?;
        match follow(lines, "looking", output).await? {
            GcEvent::Done(done) => output.result(&done, |out| write_gc(&done, out)),
            _ => Err(misunderstood()),
        }
    };
    interruptible(work, || {
        Failure::other("interrupted: the node goes on; `hedgerow gc` again does no harm")
    })
    .await
}

fn write_gc(done: &GcDone, out: &mut dyn std::io::Write) -> std::io::Result<()> {
    let verb = match done.dry {
        true => "can go",
        false => "let go",
    };
    writeln!(
        out,
        "{verb}   {} blocks, {}",
        done.gone,
        size(done.gone_bytes)
    )?;
    writeln!(
        out,
        "looked   {} blocks, {}",
        done.looked,
        size(done.looked_bytes)
    )?;
    writeln!(out, "owed     {} blocks to others", done.owed)?;
    writeln!(out, "pinned   {} blocks", done.pinned)?;
    if done.unneeded > 0 {
        writeln!(
            out,
            "unneeded {} blocks that no node needs any more went, {}",
            done.unneeded,
            size(done.unneeded_bytes)
        )?;
    }
    if done.waiting > 0 {
        writeln!(
            out,
            "waiting  {} blocks that not all have who have to keep them",
            done.waiting
        )?;
    }
    Ok(())
}

pub(crate) async fn fsck(
    references: Vec<String>,
    here: bool,
    client: &Client,
    output: &Output,
) -> Result<(), Failure> {
    for reference in &references {
        check(reference)?;
    }
    let work = async {
        let request = FsckRequest { here, references };
        let lines = client.post_json_lines("/api/v1/fsck", &request).await?;
        match follow(lines, "reading", output).await? {
            FsckEvent::Done(done) => Ok(done),
            _ => Err(misunderstood()),
        }
    };
    let stopped =
        || Failure::other("interrupted: the node goes on, and mends what it finds damaged");
    let done = interruptible(work, stopped).await?;
    output.result(&done, |out| write_fsck(&done, here, out))?;
    let missing = done.lost
        + done
            .named
            .iter()
            .filter(|lost| lost.block.is_none())
            .count() as u64;
    if let (0, Some(of)) = (missing, &done.stopped_at) {
        return Err(Failure::other(format!(
            "not everything was looked at: there was too much at {of}; give the names that are left"
        )));
    }
    match missing {
        0 => Ok(()),
        count => Err(Failure::other(format!(
            "{count} of what names and pins lead to cannot be got: `hedgerow archive restore` brings back what was archived, `hedgerow overlay leafset` shows who is there"
        ))),
    }
}

fn write_fsck(done: &FsckDone, here: bool, out: &mut dyn std::io::Write) -> std::io::Result<()> {
    writeln!(
        out,
        "here     {} blocks, {}: {} damaged",
        done.here,
        size(done.here_bytes),
        done.damaged
    )?;
    if here {
        return Ok(());
    }
    if done.unpinned > 0 {
        writeln!(
            out,
            "pinned   {} blocks were not here, they are got again",
            done.unpinned
        )?;
    }
    writeln!(
        out,
        "led to   {} blocks of {} versions and pins",
        done.blocks, done.roots
    )?;
    writeln!(
        out,
        "thin     {} blocks, that are copied to where they are missing",
        done.thin
    )?;
    writeln!(out, "lost     {} blocks", done.lost)?;
    for lost in &done.named {
        match &lost.block {
            Some(block) => writeln!(out, "  {}: block {block}: {}", lost.of, lost.reason)?,
            None => writeln!(out, "  {}: {}", lost.of, lost.reason)?,
        }
    }
    Ok(())
}
