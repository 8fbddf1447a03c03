//! What a person sees: results on stdout, the rest on stderr.

use std::{
    io::{IsTerminal, Write},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use crate::{
    args::Global,
    exit::{Code, Failure},
};

/// Work that is done sooner shows no bar.
const BAR_AFTER: Duration = Duration::from_secs(1);

/// Prints.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    json: bool,
    quiet: bool,
    bars: bool,
}

impl Output {
    pub(crate) fn new(global: &Global) -> Self {
        let bars = !global.no_progress && !global.quiet && std::io::stderr().is_terminal();
        Self {
            json: global.json,
            quiet: global.quiet,
            bars,
        }
    }

    /// Prints `value` as JSON if that was asked for, else what `text` writes.
    pub(crate) fn result<T: Serialize>(
        &self,
        value: &T,
        text: impl FnOnce(&mut dyn Write) -> std::io::Result<()>,
    ) -> Result<(), Failure> {
        let mut out = std::io::stdout().lock();
        let written = if self.json {
            serde_json::to_writer_pretty(&mut out, value)
                .map_err(std::io::Error::from)
                .and_then(|()| writeln!(out))
        } else {
            text(&mut out)
        };
        finish(written.and_then(|()| out.flush()))
    }

    /// Prints one of many results that come one by one: a line of JSON if that was asked
    /// for, else what `text` writes.
    pub(crate) fn event<T: Serialize>(
        &self,
        value: &T,
        text: impl FnOnce(&mut dyn Write) -> std::io::Result<()>,
    ) -> Result<(), Failure> {
        let mut out = std::io::stdout().lock();
        let written = if self.json {
            serde_json::to_writer(&mut out, value)
                .map_err(std::io::Error::from)
                .and_then(|()| writeln!(out))
        } else {
            text(&mut out)
        };
        finish(written.and_then(|()| out.flush()))
    }

    /// Prints bytes as they are.
    pub(crate) fn bytes(&self, bytes: &[u8]) -> Result<(), Failure> {
        let mut out = std::io::stdout().lock();
        finish(out.write_all(bytes).and_then(|()| out.flush()))
    }

    /// Says something beside the result.
    pub(crate) fn say(&self, text: impl std::fmt::Display) {
        if !self.quiet {
            eprintln!("{text}");
        }
    }

    /// Says why the command failed.
    pub(crate) fn failure(&self, failure: &Failure) {
        if self.json {
            let body = serde_json::json!({
                "code": failure.word,
                "message": failure.message,
                "hint": failure.hint,
                "asked": failure.asked,
                "exit": failure.code as u8,
            });
            eprintln!("{body}");
            return;
        }
        eprintln!("hedgerow: {}", failure.message);
        if !failure.asked.is_empty() {
            eprintln!("  asked: {}", failure.asked.join(", "));
        } else if failure.code == Code::NotFound && failure.hint.is_none() {
            eprintln!("  asked: nobody but this node");
        }
        if let Some(hint) = &failure.hint {
            eprintln!("  {hint}");
        }
    }

    /// A bar over bytes; hidden for the first second and where nobody would see it.
    pub(crate) fn bar(&self, total: Option<u64>, verb: &'static str) -> Bar {
        if !self.bars {
            return Bar {
                bar: ProgressBar::hidden(),
                shown: false,
                verb,
                total,
            };
        }
        let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::hidden());
        Bar {
            bar,
            shown: true,
            verb,
            total,
        }
    }
}

/// A reader of our output that went away has seen what it wanted.
fn finish(written: std::io::Result<()>) -> Result<(), Failure> {
    match written {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(Failure::other(format!("stdout: {error}"))),
        Ok(()) => Ok(()),
    }
}

/// A progress bar.
#[derive(Clone, Debug)]
pub(crate) struct Bar {
    bar: ProgressBar,
    shown: bool,
    verb: &'static str,
    total: Option<u64>,
}

impl Bar {
    /// `bytes` in all are done.
    pub(crate) fn set(&self, bytes: u64) {
        if !self.shown {
            return;
        }
        if self.bar.is_hidden() && self.bar.elapsed() >= BAR_AFTER {
            let template = if self.total.is_some() {
                "{msg} [{bar:30}] {bytes}/{total_bytes} {bytes_per_sec} {eta}"
            } else {
                "{msg} {spinner} {bytes} {bytes_per_sec}"
            };
            if let Ok(style) = ProgressStyle::with_template(template) {
                self.bar.set_style(style);
            }
            self.bar.set_message(self.verb);
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        self.bar.set_position(bytes);
    }

    /// Takes the bar off the screen.
    pub(crate) fn done(&self) {
        self.bar.finish_and_clear();
    }
}

/// Bytes as people read them.
pub(crate) fn size(bytes: u64) -> impl std::fmt::Display {
    indicatif::BinaryBytes(bytes)
}
