//! What an instance says about itself: a line of JSON on its standard output for each event,
//! in the form of Testground's SDKs.
//!
//! `{"ts":1700000000000000000,"msg":"","group_id":"single","run_id":"r","event":{"success_event":{"group":"single"}}}`

use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::environment::Environment;

/// The most of an error's or message's text that is taken over, bytes: a report is for people.
const MAX_TEXT: usize = 64 * 1024;

/// Something an instance did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// It began.
    #[serde(rename = "start_event")]
    Start {
        /// Its parameters.
        runenv: Value,
    },
    /// Something for people.
    #[serde(rename = "message_event")]
    Message {
        /// The text.
        message: String,
    },
    /// A part of the case began.
    #[serde(rename = "stage_start_event")]
    StageStart {
        /// The part.
        name: String,
        /// Whose.
        group: String,
    },
    /// A part of the case ended.
    #[serde(rename = "stage_end_event")]
    StageEnd {
        /// The part.
        name: String,
        /// Whose.
        group: String,
    },
    /// It ended, and all was as it should be.
    #[serde(rename = "success_event")]
    Success {
        /// Whose.
        group: String,
    },
    /// It ended because something was not as it should be.
    #[serde(rename = "failure_event")]
    Failure {
        /// Whose.
        group: String,
        /// What.
        error: String,
    },
    /// It fell over.
    #[serde(rename = "crash_event")]
    Crash {
        /// Whose; one of the SDKs calls it `groups`.
        #[serde(default, alias = "groups")]
        group: String,
        /// What.
        error: String,
        /// Where.
        #[serde(default)]
        stacktrace: String,
    },
}

/// A line of an instance's output.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// When, in nanoseconds since 1970.
    pub ts: i64,
    /// Always empty.
    #[serde(default)]
    pub msg: String,
    /// `TEST_GROUP_ID`.
    #[serde(default)]
    pub group_id: String,
    /// `TEST_RUN`.
    #[serde(default)]
    pub run_id: String,
    /// What.
    pub event: Event,
}

impl Line {
    /// The event in a line of output; `None` where it is anything else.
    pub fn parse(line: &str) -> Option<Line> {
        if !line.starts_with('{') {
            return None;
        }
        let mut line: Line = serde_json::from_str(line).ok()?;
        match &mut line.event {
            Event::Message { message: text }
            | Event::Failure { error: text, .. }
            | Event::Crash { error: text, .. } => {
                let end = text.floor_char_boundary(MAX_TEXT);
                text.truncate(end);
            }
            _ => {}
        }
        Some(line)
    }
}

/// Writes an instance's events.
#[derive(Debug, Clone)]
pub struct Recorder {
    group: String,
    run: String,
    params: Value,
}

impl Recorder {
    /// For an instance.
    pub fn new(environment: &Environment) -> Recorder {
        Recorder {
            group: environment.group.clone(),
            run: environment.run.clone(),
            params: serde_json::json!({
                "plan": environment.plan,
                "case": environment.case,
                "run": environment.run,
                "params": environment.params,
                "instances": environment.instances,
                "outputs_path": environment.outputs,
                "network": environment.subnet,
                "group": environment.group,
                "group_instances": environment.group_instances,
                "seed": environment.seed,
            }),
        }
    }

    /// It began.
    pub fn start(&self) -> Event {
        let runenv = self.params.clone();
        self.record(Event::Start { runenv })
    }

    /// Something for people.
    pub fn message(&self, message: impl Into<String>) {
        let message = message.into();
        self.record(Event::Message { message });
    }

    /// A part begins.
    pub fn stage_start(&self, name: &str) {
        let (name, group) = (name.to_owned(), self.group.clone());
        self.record(Event::StageStart { name, group });
    }

    /// A part ends.
    pub fn stage_end(&self, name: &str) {
        let (name, group) = (name.to_owned(), self.group.clone());
        self.record(Event::StageEnd { name, group });
    }

    /// It ends well.
    pub fn success(&self) -> Event {
        let group = self.group.clone();
        self.record(Event::Success { group })
    }

    /// It ends badly.
    pub fn failure(&self, error: impl Into<String>) -> Event {
        let (group, error) = (self.group.clone(), error.into());
        self.record(Event::Failure { group, error })
    }

    /// It falls over.
    pub fn crash(&self, error: impl Into<String>, stacktrace: impl Into<String>) -> Event {
        let (group, error, stacktrace) = (self.group.clone(), error.into(), stacktrace.into());
        self.record(Event::Crash {
            group,
            error,
            stacktrace,
        })
    }

    fn record(&self, event: Event) -> Event {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let line = Line {
            ts: since.map_or(0, |time| i64::try_from(time.as_nanos()).unwrap_or(i64::MAX)),
            msg: String::new(),
            group_id: self.group.clone(),
            run_id: self.run.clone(),
            event,
        };
        let text = serde_json::to_string(&line).expect("an event has text as keys");
        // Nobody may be listening any more; the exit code still tells.
        let mut out = std::io::stdout().lock();
        let _ = writeln!(out, "{text}").and_then(|()| out.flush());
        line.event
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_other_sdks_are_read() {
        let go = r#"{"ts":1595341234567890000,"msg":"","group_id":"single","run_id":"x","event":{"failure_event":{"group":"single","error":"boom"}}}"#;
        let line = Line::parse(go).unwrap();
        assert_eq!(line.ts, 1_595_341_234_567_890_000);
        let (group, error) = ("single".to_owned(), "boom".to_owned());
        assert_eq!(line.event, Event::Failure { group, error });
        let rust =
            r#"{"ts":5,"event":{"crash_event":{"groups":"g","error":"e","stacktrace":"s"}}}"#;
        assert!(matches!(
            Line::parse(rust).unwrap().event,
            Event::Crash { group, .. } if group == "g"
        ));
        for other in [
            "",
            "hello",
            "{}",
            r#"{"ts":1,"event":{"odd_event":{}}}"#,
            "{\"ts\":",
        ] {
            assert_eq!(Line::parse(other), None, "{other}");
        }
    }
}
