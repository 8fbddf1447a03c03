//! Words for people: what was not done, to which file, and what to do.

use node::home::Home;

use super::{
    edit::Refusal,
    file::FileError,
    marks,
    presets::Preset,
    proxy::{Proxy, Source},
};
use crate::{
    args::CacheClient,
    client::Client,
    exit::{Code, Failure},
};

/// The number of the line that `at` is in.
pub(super) fn line(text: &str, at: usize) -> usize {
    let before = marks::lines(text).take_while(|line| line.end <= at);
    before.count() + 1
}

/// What writes the setting.
pub(super) fn command(preset: &Preset, proxy: Proxy, client: &Client) -> String {
    let is_usual_home = Home::resolve(None).is_ok_and(|home| home == *client.home());
    // Only where the command would not find the port by itself.
    let is_named = proxy.source == Source::Named || !is_usual_home || preset.is_of_machine;
    let port = match proxy.source {
        Source::Off => String::new(),
        _ if !is_named => String::new(),
        _ => format!(" --port {}", proxy.port),
    };
    let sudo = if preset.is_of_machine { "sudo " } else { "" };
    format!(
        "{sudo}{} cache setup {} --write{port}",
        program(preset),
        preset.client
    )
}

/// What takes it back.
pub(super) fn undo(preset: &Preset) -> String {
    let sudo = if preset.is_of_machine { "sudo " } else { "" };
    format!(
        "{sudo}{} cache setup {} --undo",
        program(preset),
        preset.client
    )
}

/// sudo looks in fewer places than the person's shell.
fn program(preset: &Preset) -> String {
    let own = std::env::current_exe()
        .ok()
        .filter(|_| preset.is_of_machine);
    let own = own.map(|path| path.display().to_string());
    match own {
        Some(path) if path.contains(|c: char| c.is_whitespace() || c == '\'') => {
            format!("'{}'", path.replace('\'', "'\\''"))
        }
        Some(path) => path,
        None => "hedgerow".to_owned(),
    }
}

pub(super) fn no_file(preset: &Preset, proxy: Option<Proxy>, error: &FileError) -> Failure {
    let message = format!("nothing was changed: {error}");
    if !error.is_permission() {
        return Failure::other(message).with_hint("see to the file and try again");
    }
    let failure = Failure::new(Code::Refused, message);
    if !preset.is_of_machine {
        return failure.with_hint("run this as the user whose file it is");
    }
    let again = match proxy {
        Some(proxy) => format!(
            "sudo {} cache setup {} --write --port {}",
            program(preset),
            preset.client,
            proxy.port
        ),
        None => undo(preset),
    };
    failure.with_hint(format!("it takes root: {again}"))
}

/// A change that was not made, and what to do. `snippet` is what a person can put in by hand.
pub(super) fn refused(
    preset: &Preset,
    text: Option<&str>,
    refusal: &Refusal,
    snippet: &str,
) -> Failure {
    let text = text.unwrap_or_default();
    let place = |at| format!("{}:{}", preset.file.display(), line(text, at));
    let by_hand = match snippet {
        "" => "take out by hand what hedgerow put there".to_owned(),
        snippet => format!("put it in by hand:\n\n{snippet}"),
    };
    let (code, what, hint) = match refusal {
        Refusal::Unreadable(error) => (
            Code::Error,
            format!("{}: {}", place(error.at), error.why),
            format!("mend the file and try again, or {by_hand}"),
        ),
        Refusal::Other(found) => (
            Code::Refused,
            format!(
                "{} has another value: {}",
                place(found.at.start),
                found.value
            ),
            replaces(preset.client),
        ),
        Refusal::Changed(at) => (
            Code::Refused,
            format!("{} is not what hedgerow put there", place(*at)),
            "--force replaces everything between hedgerow's comments, with what was changed there"
                .to_owned(),
        ),
        Refusal::Unmarked(at) => (
            Code::Refused,
            format!(
                "{} points at the cache, but no comment says that this command put it there",
                place(*at)
            ),
            "--force removes it".to_owned(),
        ),
        Refusal::Involved(at) => (
            Code::Error,
            format!(
                "{} cannot be changed without harm to what is beside it",
                place(*at)
            ),
            by_hand,
        ),
    };
    Failure::new(code, format!("nothing was changed: {what}")).with_hint(hint)
}

fn replaces(client: CacheClient) -> String {
    match client {
        CacheClient::Maven => "--force puts the cache before it; --undo takes that back".to_owned(),
        _ => "--force replaces it, and keeps it in a comment for --undo".to_owned(),
    }
}
