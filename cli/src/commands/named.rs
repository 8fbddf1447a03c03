//! The commands of `hedgerow object` that are about names and versions.

use std::time::{Duration, UNIX_EPOCH};

use cid::Cid;
use http::Method;
use node::api::types::{
    Diff, MAX_LISTED, NamedStat, ObjectVersion, ObjectVersions, ObjectWritten, UpdateAction,
    UpdateClause, UpdateInsert, UpdatePredicate, UpdateRequest,
};
use objects::{Name, Owner, Reference, Spoken, Target, Version};
use unixfs::Options;

use super::{
    object::{IN_FLIGHT, describe_keeper, import_failure, malformed, write_stat},
    segment,
};
use crate::{
    args::WriteHow,
    blocks_api::ApiBlocks,
    client::Client,
    exit::Failure,
    output::{Output, size},
};

/// What a fork is, and what ends it.
const FORKED: &str = "two nodes with one key wrote at the same time: choose with `hedgerow object restore NAME@VGUID`";

/// A name to write to: in this node's namespace, without a version.
pub(super) fn own_name(text: &str) -> Result<Name, Failure> {
    match Spoken::parse(text).map_err(|error| malformed(&error))? {
        Spoken::Object(Reference {
            target: Target::Name(Owner::Me, name),
            version: Version::Newest,
        }) if !name.is_namespace() => Ok(name),
        Spoken::Content(_) => Err(Failure::usage(format!(
            "{text} is a CID, whose content never changes: a name is wanted"
        ))),
        Spoken::Object(_) => Err(Failure::usage(format!(
            "{text} is not a name of this node, which is all that it can write"
        ))),
    }
}

/// The content of a version, and what a file with it is called.
pub(super) async fn content(reference: &str, client: &Client) -> Result<(Cid, String), Failure> {
    let path = format!("/api/v1/named/{}/version", segment(reference));
    let version: ObjectVersion = client.get(&path).await?;
    let Some(root) = &version.root else {
        let number = version.version;
        return Err(Failure::new(
            crate::exit::Code::NotFound,
            format!("version {number} says that {reference} was removed"),
        )
        .with_hint("see `hedgerow object versions` for those before it"));
    };
    let cid = root
        .parse()
        .map_err(|error| Failure::other(format!("the node's answer is damaged: {error}")))?;
    let last = version.name.rsplit('/').next().unwrap_or_default();
    Ok(match last {
        "" => (cid, "names".to_owned()),
        last => (cid, last.to_owned()),
    })
}

/// A version in a line.
pub(super) fn describe(version: &ObjectVersion) -> String {
    format!("{}@v{}", version.name, version.version)
}

/// Has an action carried out on a name of this node.
pub(super) async fn update(
    name: &str,
    if_version: Option<u64>,
    action: UpdateAction,
    client: &Client,
) -> Result<ObjectWritten, Failure> {
    let request = UpdateRequest {
        clauses: vec![UpdateClause {
            predicates: if_version
                .map(UpdatePredicate::Version)
                .into_iter()
                .collect(),
            actions: vec![action],
        }],
    };
    // A colon in a name's first part is not an owner's.
    let path = format!("/api/v1/named/{}/updates", segment(&format!("me:{name}")));
    client.send_json(Method::POST, &path, &request).await
}

fn report(written: &ObjectWritten, output: &Output) -> Result<(), Failure> {
    output.result(written, |out| {
        writeln!(out, "{}", describe(&written.version))
    })?;
    for failed in &written.stored.failed {
        output.say(format_args!(
            "the version is not yet on {}: {}",
            failed.peer_id, failed.reason
        ));
    }
    say_fork(written, output);
    Ok(())
}

/// Says where another node has written beside what was written.
pub(super) fn say_fork(written: &ObjectWritten, output: &Output) {
    if !written.fork.is_empty() {
        output.say(format_args!(
            "{FORKED}; the newest are now: {}",
            written
                .fork
                .iter()
                .map(|branch| branch.vguid.as_str())
                .collect::<Vec<_>>()
                .join(", ")
        ));
    }
}

pub(super) async fn remove(
    name: &str,
    if_version: Option<u64>,
    client: &Client,
    output: &Output,
) -> Result<(), Failure> {
    let name = own_name(name)?;
    let written = update(name.as_str(), if_version, UpdateAction::Remove, client).await?;
    report(&written, output)
}

pub(super) async fn restore(text: &str, client: &Client, output: &Output) -> Result<(), Failure> {
    let reference = Reference::parse(text).map_err(|error| malformed(&error))?;
    let which = match reference.version {
        Version::Number(number) => format!("v{number}"),
        Version::Vguid(vguid) => vguid.to_string(),
        Version::Newest => {
            return Err(Failure::usage(format!("{text} does not say which version"))
                .with_hint("as in photos/cat.jpg@v3; see `hedgerow object versions`"));
        }
    };
    let (object, _) = text.rsplit_once('@').unwrap_or((text, ""));
    let name = own_name(object)?;
    let written = update(name.as_str(), None, UpdateAction::Restore(which), client).await?;
    report(&written, output)
}

pub(super) async fn write(
    name: &str,
    how: &WriteHow,
    if_version: Option<u64>,
    client: &Client,
    output: &Output,
) -> Result<(), Failure> {
    let name = own_name(name)?;
    let (delete, insert) = match (how.delete, how.truncate) {
        (Some(bytes), _) => (bytes, None),
        (None, true) => (u64::MAX, None),
        (None, false) => {
            let blocks = ApiBlocks::new(client.clone());
            let options = Options {
                concurrency: IN_FLIGHT,
                ..Options::default()
            };
            let stdin = tokio::io::stdin();
            let imported = unixfs::import_reader(stdin, &blocks, &options).await;
            let imported = imported.map_err(import_failure)?;
            let over = match how.insert || how.append {
                true => 0,
                false => imported.size,
            };
            (over, Some(UpdateInsert::File(imported.cid.to_string())))
        }
    };
    let splice = UpdateAction::Splice {
        offset: how.offset,
        delete,
        insert,
    };
    let written = update(name.as_str(), if_version, splice, client).await?;
    report(&written, output)
}

pub(super) async fn list(prefix: &str, client: &Client, output: &Output) -> Result<(), Failure> {
    let whole = format!("/api/v1/named?prefix={}", segment(prefix));
    let mut names: Vec<String> = client.get(&whole).await?;
    let mut full = names.len() == MAX_LISTED;
    while full && let Some(last) = names.last() {
        let path = format!("{whole}&after={}", segment(last));
        let more: Vec<String> = client.get(&path).await?;
        full = more.len() == MAX_LISTED;
        names.extend(more);
    }
    output.result(&names, |out| {
        for name in &names {
            writeln!(out, "{name}")?;
        }
        Ok(())
    })
}

pub(super) async fn versions(
    name: &str,
    limit: u16,
    client: &Client,
    output: &Output,
) -> Result<(), Failure> {
    Reference::parse(name).map_err(|error| malformed(&error))?;
    let path = format!("/api/v1/named/{}/versions?limit={limit}", segment(name));
    let listed: ObjectVersions = client.get(&path).await?;
    output.result(&listed, |out| {
        for (at, version) in listed.versions.iter().enumerate() {
            let number = format!("v{}", version.version);
            let what = match (&version.root, listed.heads > 1 && at < listed.heads) {
                (_, true) => "fork: one of several newest",
                (None, false) => "removed",
                (Some(_), false)
                    if listed
                        .kept_from
                        .is_some_and(|first| version.version < first) =>
                {
                    "pruned"
                }
                (Some(_), false) => "",
            };
            let line = format!(
                "{number:<6} {}  {:>12}  {}  {what}",
                time(version.time),
                version.size,
                version.vguid
            );
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    })?;
    if let Some(aside) = &listed.overtaken {
        output.say(format_args!(
            "v{} {} was written here, and the newest does not follow it",
            aside.version, aside.vguid
        ));
    }
    if listed.heads > 1 || listed.overtaken.is_some() {
        output.say(FORKED);
    }
    match &listed.missing {
        Some(missing) => output.say(format_args!("what is before it is not known: {missing}")),
        None if listed.more => output.say("there are older ones: ask for more with -n"),
        None => {}
    }
    Ok(())
}

pub(super) async fn diff(
    a: &str,
    b: &str,
    client: &Client,
    output: &Output,
) -> Result<(), Failure> {
    for text in [a, b] {
        Spoken::parse(text).map_err(|error| malformed(&error))?;
    }
    let path = format!("/api/v1/diff?a={}&b={}", segment(a), segment(b));
    let diff: Diff = client.get(&path).await?;
    output.result(&diff, |out| {
        for range in &diff.ranges {
            writeln!(out, "{}+{}", range.offset, range.length)?;
        }
        Ok(())
    })?;
    let bytes = diff.ranges.iter().map(|range| range.length).sum();
    output.say(format_args!(
        "{} bytes and {} bytes, {} of them in blocks that differ",
        diff.a.size,
        diff.b.size,
        size(bytes)
    ));
    Ok(())
}

pub(super) async fn stat(text: &str, client: &Client, output: &Output) -> Result<(), Failure> {
    let path = format!("/api/v1/named/{}/stat", segment(text));
    let stat: NamedStat = client.get(&path).await?;
    output.result(&stat, |out| {
        writeln!(out, "name    {}", stat.name)?;
        let whose = match (stat.mine, &stat.alias) {
            (true, _) => " (this node)".to_owned(),
            (false, Some(alias)) => format!(" ({alias})"),
            (false, None) => String::new(),
        };
        writeln!(out, "owner   {}{whose}", stat.owner)?;
        writeln!(out, "aguid   {}", stat.aguid)?;
        for branch in &stat.fork {
            writeln!(out, "fork    v{} {}", branch.version, branch.vguid)?;
        }
        if let Some(version) = &stat.version {
            let removed = match version.root {
                Some(_) => "",
                None => ", removed",
            };
            let (number, newest) = (version.version, stat.newest);
            writeln!(out, "version {number} of {newest}{removed}")?;
            writeln!(out, "vguid   {}", version.vguid)?;
            writeln!(out, "time    {}", time(version.time))?;
        }
        for keeper in &stat.keepers {
            writeln!(out, "newest  {}", describe_keeper(keeper))?;
        }
        match &stat.content {
            Some(content) => write_stat(content, out),
            None => Ok(()),
        }
    })
}

/// Unix milliseconds as people read them, in UTC.
pub(super) fn time(millis: u64) -> String {
    match UNIX_EPOCH.checked_add(Duration::from_millis(millis)) {
        // The years that the format has.
        Some(time) if millis < 253_402_300_800_000 => {
            humantime::format_rfc3339_seconds(time).to_string()
        }
        _ => format!("{millis} ms"),
    }
}
