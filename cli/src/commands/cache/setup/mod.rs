//! `hedgerow cache setup`: has the clients of registries ask the node's proxy.

mod apt;
mod edit;
mod file;
mod go;
mod marks;
mod maven;
mod npm;
mod pip;
mod presets;
mod proxy;
mod rivals;
mod say;
mod toml;

#[cfg(test)]
mod tests;

use clap::ValueEnum;
use serde::Serialize;

use self::{
    edit::{Left, State},
    file::FileError,
    presets::{Places, Preset},
    proxy::{Proxy, Source},
};
use crate::{
    args::{CacheClient, CacheSetup},
    client::Client,
    exit::{Code, Failure},
    output::Output,
};

pub(super) async fn run(
    options: CacheSetup,
    client: &Client,
    output: &Output,
) -> Result<(), Failure> {
    let variable = |name: &str| std::env::var_os(name);
    let places = Places {
        variable: &variable,
        home: std::env::home_dir()
            .ok_or_else(|| Failure::other("this user has no home directory: set HOME"))?,
        etc: options.etc.clone(),
    };
    let Some(which) = options.client else {
        let proxy = Proxy::find(options.port, client).await?;
        return overview(&places, proxy, client, output);
    };
    let preset = which.preset(&places)?;
    // Taking back needs no proxy.
    if options.undo {
        return undo(&preset, &options, output);
    }
    let proxy = Proxy::find(options.port, client).await?;
    match options.write {
        true => write(&preset, proxy, &options, client, output),
        false => show(&preset, proxy, client, output),
    }
}

/// A client in the table.
#[derive(Serialize)]
struct Row {
    client: String,
    file: String,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

fn overview(
    places: &Places<'_>,
    proxy: Proxy,
    client: &Client,
    output: &Output,
) -> Result<(), Failure> {
    let rows: Vec<Row> = CacheClient::value_variants()
        .iter()
        .map(|client| row(*client, places, proxy.port))
        .collect();
    warn(proxy, client, output);
    output.result(&rows, |out| {
        for Row {
            client,
            file,
            state,
            reason,
        } in &rows
        {
            let reason = reason
                .as_ref()
                .map_or(String::new(), |reason| format!("  ({reason})"));
            writeln!(out, "{client:6} {state:10} {file}{reason}")?;
        }
        Ok(())
    })
}

fn row(client: CacheClient, places: &Places<'_>, port: u16) -> Row {
    let row = |file, state, reason| Row {
        client: client.to_string(),
        file,
        state,
        reason,
    };
    let preset = match client.preset(places) {
        Ok(preset) => preset,
        Err(failure) => return row(String::new(), "unreadable", Some(failure.message)),
    };
    let (state, reason) = describe(&preset, port);
    row(preset.file.display().to_string(), state, reason)
}

/// A word for how the file stands to the setting, and what there is to say about it.
fn describe(preset: &Preset, port: u16) -> (&'static str, Option<String>) {
    let text = match file::read(&preset.file) {
        Ok(text) => text.unwrap_or_else(|| preset.format.skeleton().to_owned()),
        Err(error) => return ("unreadable", Some(error.to_string())),
    };
    match edit::state(preset.format, &text, port) {
        Ok(State::Set) => ("set", None),
        Ok(State::Unset) => ("unset", None),
        Ok(State::Other(found)) => {
            let line = say::line(&text, found.at.start);
            ("other", Some(format!("line {line}: {}", found.value)))
        }
        Err(error) => {
            let line = say::line(&text, error.at);
            ("unreadable", Some(format!("line {line}: {}", error.why)))
        }
    }
}

/// What would be set.
#[derive(Serialize)]
struct Shown<'a> {
    client: String,
    file: String,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    text: String,
    command: String,
    port: u16,
    proxy: Source,
    notes: &'a [&'a str],
}

fn show(preset: &Preset, proxy: Proxy, client: &Client, output: &Output) -> Result<(), Failure> {
    let (state, reason) = describe(preset, proxy.port);
    let shown = Shown {
        client: preset.client.to_string(),
        file: preset.file.display().to_string(),
        state,
        reason,
        text: snippet(preset, proxy.port),
        command: say::command(preset, proxy, client),
        port: proxy.port,
        proxy: proxy.source,
        notes: preset.notes,
    };
    warn(proxy, client, output);
    warn_of_others(preset, proxy.port, output);
    output.result(&shown, |out| {
        let how = match &shown.reason {
            Some(reason) => format!("{state}, {reason}"),
            None => state.to_owned(),
        };
        write!(out, "in {} ({how}):\n\n{}\n", shown.file, shown.text)?;
        for note in shown.notes {
            writeln!(out, "note: {note}")?;
        }
        writeln!(out, "write it with: {}", shown.command)
    })
}

/// The setting alone, as it would stand in a file of its own.
fn snippet(preset: &Preset, port: u16) -> String {
    let format = preset.format;
    let comment = format.comment();
    let marks = [comment.begin(true), comment.end()];
    let set = edit::set(format, None, port, false).ok().flatten();
    let set = set.unwrap_or_default();
    let lines = set
        .lines()
        .filter(|line| !marks.iter().any(|mark| mark == line.trim()));
    lines.map(|line| format!("{line}\n")).collect()
}

/// What was done.
#[derive(Serialize)]
struct Done {
    client: String,
    file: String,
    changed: bool,
}

impl Done {
    fn new(preset: &Preset, changed: bool) -> Self {
        Self {
            client: preset.client.to_string(),
            file: preset.file.display().to_string(),
            changed,
        }
    }
}

fn write(
    preset: &Preset,
    proxy: Proxy,
    options: &CacheSetup,
    client: &Client,
    output: &Output,
) -> Result<(), Failure> {
    if proxy.source == Source::Off {
        let home = client.home().root().display();
        let message = format!("nothing was changed: the node in {home} has no web cache");
        return Err(Failure::new(Code::Refused, message).with_hint(proxy::on(client)));
    }
    let failed = |error: FileError| say::no_file(preset, Some(proxy), &error);
    let old = file::read(&preset.file).map_err(failed)?;
    let new =
        edit::set(preset.format, old.as_deref(), proxy.port, options.force).map_err(|refusal| {
            say::refused(
                preset,
                old.as_deref(),
                &refusal,
                &snippet(preset, proxy.port),
            )
        })?;
    if let Some(new) = &new {
        file::replace(&preset.file, new, preset.mode).map_err(failed)?;
    }
    warn(proxy, client, output);
    warn_of_others(preset, proxy.port, output);
    let done = Done::new(preset, new.is_some());
    output.result(&done, |out| match done.changed {
        true => writeln!(out, "{} is set in {}", done.client, done.file),
        false => writeln!(out, "{} is set already in {}", done.client, done.file),
    })?;
    if done.changed {
        output.say(format_args!("take it back with: {}", say::undo(preset)));
    }
    Ok(())
}

fn undo(preset: &Preset, options: &CacheSetup, output: &Output) -> Result<(), Failure> {
    let failed = |error: FileError| say::no_file(preset, None, &error);
    let text = file::read(&preset.file).map_err(failed)?;
    let left = match &text {
        None => Left::Same,
        Some(text) => edit::unset(preset.format, text, options.force)
            .map_err(|refusal| say::refused(preset, Some(text), &refusal, ""))?,
    };
    match &left {
        Left::Same => {}
        Left::Text(text) => file::replace(&preset.file, text, preset.mode).map_err(failed)?,
        Left::Nothing => remove(preset).map_err(failed)?,
    }
    let done = Done::new(preset, left != Left::Same);
    output.result(&done, |out| match left {
        Left::Same => writeln!(out, "nothing of hedgerow's is in {}", done.file),
        Left::Text(_) => writeln!(out, "{} is as it was before", done.file),
        Left::Nothing => writeln!(out, "{} is removed: it held nothing else", done.file),
    })
}

fn remove(preset: &Preset) -> Result<(), FileError> {
    file::remove(&preset.file)?;
    // An empty folder of a registry would have containerd pass over its `_default`.
    if preset.client == CacheClient::Oci
        && let Some(folder) = preset.file.parent()
        && let Err(error) = std::fs::remove_dir(folder)
    {
        tracing::debug!(%error, folder = %folder.display(), "the folder stays");
    }
    Ok(())
}

fn warn(proxy: Proxy, client: &Client, output: &Output) {
    if let Some(warning) = proxy.warning(client) {
        output.say(warning);
    }
}

fn warn_of_others(preset: &Preset, port: u16, output: &Output) {
    for name in preset.overridden_by {
        if std::env::var_os(name).is_some() {
            output.say(format_args!(
                "{name} is set in this shell and goes before what is in the file"
            ));
        }
    }
    for rival in rivals::of(preset, port) {
        output.say(format_args!(
            "{rival} and goes before this, as apt reads it later"
        ));
    }
}
