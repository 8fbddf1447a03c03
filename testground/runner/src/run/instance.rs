//! One instance: its process, what it says, how it ends.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use lab::{LabError, Process};
use nix::sys::signal::Signal;

use super::interrupt::{Interrupt, Note};
use super::verdict::{Ending, InstanceVerdict};
use super::{RunError, file};
use crate::event::{Event, Line};

/// Longer than any run: the run itself decides when an instance is ended.
const FOREVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// Name of the file with an instance's standard output.
pub(crate) const OUT: &str = "run.out";

/// Name of the file with an instance's standard error.
pub(crate) const ERR: &str = "run.err";

#[derive(Debug)]
pub(crate) struct Instance {
    number: usize,
    group: String,
    outputs: PathBuf,
    process: Arc<Process>,
    status: Option<ExitStatus>,
    ended_by: Ending,
    result: Option<Event>,
}

impl Instance {
    /// Notes the end of a process that was just started.
    pub(crate) fn watch(
        number: usize,
        group: &str,
        outputs: PathBuf,
        process: Arc<Process>,
        interrupt: &Interrupt,
    ) -> Instance {
        let (watched, interrupt) = (Arc::clone(&process), interrupt.clone());
        std::thread::spawn(move || {
            // No line is wanted: this returns when the process has ended and all it printed
            // has been written to its log.
            let status = match watched.wait_line("the end", FOREVER, |_| false) {
                Err(LabError::Ended { status, .. }) => Some(status),
                _ => watched.status(),
            };
            interrupt.note(Note::Ended(number, status));
        });
        Instance {
            number,
            group: group.to_owned(),
            outputs,
            process,
            status: None,
            ended_by: Ending::ByItself,
            result: None,
        }
    }

    /// The process has ended, while the run was ending like this.
    pub(crate) fn ended(&mut self, status: Option<ExitStatus>, run: Ending) {
        self.status = status;
        // The last word counts, as a crash may come after a failure.
        self.result = lines(self.process.stdout_log())
            .into_iter()
            .map(|line| line.event)
            .rfind(|event| {
                matches!(
                    event,
                    Event::Success { .. } | Event::Failure { .. } | Event::Crash { .. }
                )
            });
        let killed = status.is_some_and(|status| status.signal().is_some());
        self.ended_by = if killed { run } else { Ending::ByItself };
    }

    /// Whether it said that all is well, and then ended well.
    pub(crate) fn succeeded(&self) -> bool {
        matches!(self.result, Some(Event::Success { .. }))
            && self.status.is_some_and(|status| status.success())
    }

    /// Ends it, with all that it has started.
    pub(crate) fn kill(&self) {
        // One that does not go is the lab's to kill.
        let _ = self.process.signal(Signal::SIGKILL);
    }

    pub(crate) fn number(&self) -> usize {
        self.number
    }

    pub(crate) fn outputs(&self) -> &Path {
        &self.outputs
    }

    /// Puts what it printed beside what it wrote.
    pub(crate) fn keep_logs(&self) -> Result<(), RunError> {
        for (log, name) in [
            (self.process.stdout_log(), OUT),
            (self.process.stderr_log(), ERR),
        ] {
            let place = self.outputs.join(name);
            fs::copy(log, &place).map_err(file(&place))?;
        }
        Ok(())
    }

    pub(crate) fn verdict(&self) -> InstanceVerdict {
        let error = match (&self.result, self.ended_by) {
            (Some(Event::Failure { error, .. }), _) => error.clone(),
            (Some(Event::Crash { error, .. }), _) => format!("crashed: {error}"),
            (_, Ending::Limit) => "ended at the limit".to_owned(),
            (_, Ending::Failure) => "ended because another instance failed".to_owned(),
            (_, Ending::Interrupted) => "interrupted".to_owned(),
            (Some(Event::Success { .. }), _) if self.succeeded() => String::new(),
            (result, _) => {
                let said = match result {
                    Some(_) => "said that it succeeded",
                    None => "said neither that it succeeded nor that it failed",
                };
                match self.status {
                    Some(status) => format!("{said}, and ended with {status}"),
                    None => said.to_owned(),
                }
            }
        };
        InstanceVerdict {
            instance: self.number,
            group: self.group.clone(),
            passed: self.succeeded(),
            error,
            outputs: self.outputs.clone(),
        }
    }
}

/// The events in an instance's output.
pub(crate) fn lines(log: &Path) -> Vec<Line> {
    let Ok(file) = fs::File::open(log) else {
        return Vec::new();
    };
    BufReader::new(file)
        .split(b'\n')
        .map_while(Result::ok)
        .filter_map(|line| Line::parse(&String::from_utf8_lossy(&line)))
        .collect()
}
