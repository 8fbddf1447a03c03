//! How far a run is, on terminals.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::{Happening, Observer, Sim};

/// A progress bar, or nothing where nobody looks. Clones move the same bar.
#[derive(Clone, Debug)]
pub struct Progress(ProgressBar);

impl Progress {
    /// No bar.
    pub fn hidden() -> Progress {
        Progress(ProgressBar::hidden())
    }

    /// A bar on standard error if that is a terminal.
    pub fn new(what: &str, steps: u64) -> Progress {
        let bar = ProgressBar::with_draw_target(Some(steps), ProgressDrawTarget::stderr_with_hz(5));
        let style = ProgressStyle::with_template(
            "{msg:14} {bar:40} {human_pos}/{human_len} {percent}% {elapsed} left {eta}",
        );
        bar.set_style(style.expect("the template is well-formed"));
        bar.set_message(what.to_owned());
        Progress(bar)
    }

    /// This much more is done.
    pub fn advance(&self, steps: u64) {
        self.0.inc(steps);
    }

    /// All is done: the bar goes.
    pub fn finish(&self) {
        self.0.finish_and_clear();
    }
}

/// A step for each node that takes its place.
impl Observer for Progress {
    fn saw(&mut self, _: &Sim, what: &Happening) {
        if matches!(what, Happening::Active(_)) {
            self.0.inc(1);
        }
    }
}
