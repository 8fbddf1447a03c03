//! A list of faults as it is written, and what is refused before anything is drawn (F1 to F3).

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::values::{Bytes, Direction, Range, Victims};
use crate::manifest::{FormatError, Source, read};

/// The longest that faults may last: as long as a case may.
const MAX_END: Duration = Duration::from_secs(24 * 3600);

/// The most often that a fault may be repeated.
const MAX_TIMES: usize = 1000;

/// What happens to victims (F2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// SIGKILL to the node, which is started again at the end.
    Kill,
    /// SIGSTOP, and SIGCONT at the end.
    Stop,
    /// The node is told to end; started at the end.
    Restart,
    /// The node is killed and its home removed; started at the end.
    Wipe,
    /// Nodes come and go, each by itself.
    Churn,
    /// The instance's file system is full.
    Fill,
    /// Nothing passes between victims and others.
    Partition,
    /// Packets from and to victims are lost.
    Loss,
    /// Victims are cut off again and again.
    Flap,
}

/// A list of faults, as a file, a test case or a composition has it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct List {
    end: Spanned<Range>,
    disk: Option<Bytes>,
    #[serde(default)]
    fault: Vec<Written>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    kind: Spanned<Kind>,
    at: Spanned<Range>,
    #[serde(rename = "for")]
    lasts: Option<Spanned<Range>>,
    every: Option<Spanned<Range>>,
    times: Option<Spanned<usize>>,
    victims: Option<Spanned<Victims>>,
    group: Option<Spanned<String>>,
    percent: Option<Spanned<f64>>,
    direction: Option<Spanned<Direction>>,
    up: Option<Spanned<Range>>,
    down: Option<Spanned<Range>>,
}

/// A list of faults that can be drawn from.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    pub(super) path: PathBuf,
    pub(super) end: Duration,
    /// Bytes of each instance's file system, where it is one of its own.
    pub disk: Option<u64>,
    pub(super) faults: Vec<Entry>,
}

/// One of a schedule's faults.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) line: usize,
    pub(super) kind: Kind,
    pub(super) at: Range,
    /// Until the end of all, unless set.
    pub(super) lasts: Option<Range>,
    pub(super) every: Option<Range>,
    pub(super) times: usize,
    pub(super) victims: Victims,
    pub(super) victims_line: usize,
    pub(super) group: Option<(String, usize)>,
    pub(super) percent: f64,
    pub(super) direction: Direction,
    pub(super) up: Range,
    pub(super) down: Range,
}

impl Kind {
    /// Its name in a list.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Kill => "kill",
            Kind::Stop => "stop",
            Kind::Restart => "restart",
            Kind::Wipe => "wipe",
            Kind::Churn => "churn",
            Kind::Fill => "fill",
            Kind::Partition => "partition",
            Kind::Loss => "loss",
            Kind::Flap => "flap",
        }
    }

    /// Whether the runner does it, to the network; else an instance, to its node.
    pub fn is_of_network(self) -> bool {
        matches!(self, Kind::Partition | Kind::Loss | Kind::Flap)
    }

    /// Whether it is done to the node's process, of which there is one.
    pub(super) fn is_of_process(self) -> bool {
        !self.is_of_network() && self != Kind::Fill
    }

    /// Whether each victim goes and comes by itself.
    pub(super) fn comes_and_goes(self) -> bool {
        matches!(self, Kind::Churn | Kind::Flap)
    }
}

impl Schedule {
    /// The list in a file.
    pub fn load(path: &Path) -> Result<Schedule, FormatError> {
        Schedule::parse(path, &read(path)?)
    }

    /// A list from its text; `path` is for errors.
    pub fn parse(path: &Path, text: &str) -> Result<Schedule, FormatError> {
        let source = Source { path, text };
        source.parse::<List>()?.checked(&source)
    }
}

impl List {
    /// The list, if there can be such faults.
    pub(crate) fn checked(&self, source: &Source<'_>) -> Result<Schedule, FormatError> {
        let at = self.end.span().start;
        let Range { from, to: end } = *self.end.get_ref();
        if from != end {
            return Err(source.error(at, "`end` is one time"));
        }
        if end.is_zero() || end > MAX_END {
            return Err(source.error(at, "`end` is from above 0 to 24h"));
        }
        let disk = self.disk.map(|bytes| bytes.0);
        let entry = |written: &Written| written.checked(source, end, disk.is_some());
        Ok(Schedule {
            path: source.path.to_owned(),
            end,
            disk,
            faults: self.fault.iter().map(entry).collect::<Result<_, _>>()?,
        })
    }
}

impl Written {
    fn checked(
        &self,
        source: &Source<'_>,
        end: Duration,
        has_disk: bool,
    ) -> Result<Entry, FormatError> {
        let kind = *self.kind.get_ref();
        let at_kind = self.kind.span().start;
        self.only_keys_of(kind, source)?;
        if kind == Kind::Fill && !has_disk {
            return Err(source.error(at_kind, "`fill` needs `disk`, the size of what is filled"));
        }
        if self.at.get_ref().to >= end {
            let reason = format!("`at` is before `end`, which is {end:?}");
            return Err(source.error(self.at.span().start, reason));
        }
        if let Some(every) = &self.every
            && every.get_ref().from.is_zero()
        {
            return Err(source.error(every.span().start, "`every` is above 0"));
        }
        let times = match (&self.times, &self.every) {
            (Some(times), None) if *times.get_ref() != 1 => {
                return Err(source.error(times.span().start, "`times` needs `every`"));
            }
            (Some(times), _) if !(1..=MAX_TIMES).contains(times.get_ref()) => {
                let reason = format!("`times` is 1 to {MAX_TIMES}");
                return Err(source.error(times.span().start, reason));
            }
            (Some(times), _) => *times.get_ref(),
            (None, Some(_)) => usize::MAX,
            (None, None) => 1,
        };
        let percent = match (&self.percent, kind) {
            (Some(percent), _) if *percent.get_ref() > 0.0 && *percent.get_ref() <= 100.0 => {
                *percent.get_ref()
            }
            (Some(percent), _) => {
                return Err(source.error(percent.span().start, "`percent` is above 0 to 100"));
            }
            (None, Kind::Loss) => return Err(source.error(at_kind, "`loss` needs `percent`")),
            (None, _) => 0.0,
        };
        let phase = |key: &str, range: &Option<Spanned<Range>>| match range {
            Some(range) if range.get_ref().from.is_zero() => {
                Err(source.error(range.span().start, format!("`{key}` is above 0")))
            }
            Some(range) => Ok(*range.get_ref()),
            None if kind.comes_and_goes() => {
                Err(source.error(at_kind, format!("`{}` needs `{key}`", kind.name())))
            }
            None => Ok(Range::exactly(Duration::ZERO)),
        };
        let (victims, at_victims) = match (&self.victims, &self.group) {
            (Some(victims), Some(group)) if matches!(victims.get_ref(), Victims::These(_)) => {
                let reason = "instances by number, or a `group`: one of the two";
                return Err(source.error(group.span().start, reason));
            }
            (Some(victims), _) => (victims.get_ref().clone(), victims.span().start),
            (None, Some(group)) => (Victims::All, group.span().start),
            (None, None) if kind == Kind::Loss => (Victims::All, at_kind),
            (None, None) => {
                return Err(source.error(at_kind, format!("`{}` needs `victims`", kind.name())));
            }
        };
        let at_once = Range::exactly(Duration::ZERO);
        Ok(Entry {
            line: source.line(at_kind),
            kind,
            at: *self.at.get_ref(),
            lasts: match &self.lasts {
                Some(lasts) => Some(*lasts.get_ref()),
                None if matches!(kind, Kind::Restart | Kind::Wipe) => Some(at_once),
                None => None,
            },
            every: self.every.as_ref().map(|every| *every.get_ref()),
            times,
            victims,
            victims_line: source.line(at_victims),
            group: self
                .group
                .as_ref()
                .map(|group| (group.get_ref().clone(), source.line(group.span().start))),
            percent,
            direction: self
                .direction
                .as_ref()
                .map_or_else(Direction::default, |direction| *direction.get_ref()),
            up: phase("up", &self.up)?,
            down: phase("down", &self.down)?,
        })
    }

    /// Keys that say nothing about this kind are mistakes.
    fn only_keys_of(&self, kind: Kind, source: &Source<'_>) -> Result<(), FormatError> {
        fn place<T>(key: &Option<Spanned<T>>) -> Option<usize> {
            key.as_ref().map(|key| key.span().start)
        }
        let cuts = matches!(kind, Kind::Partition | Kind::Flap);
        for (key, at, fits) in [
            ("percent", place(&self.percent), kind == Kind::Loss),
            ("direction", place(&self.direction), cuts),
            ("up", place(&self.up), kind.comes_and_goes()),
            ("down", place(&self.down), kind.comes_and_goes()),
            ("every", place(&self.every), !kind.comes_and_goes()),
        ] {
            if let (Some(at), false) = (at, fits) {
                return Err(source.error(at, format!("`{key}` is not for `{}`", kind.name())));
            }
        }
        Ok(())
    }
}
