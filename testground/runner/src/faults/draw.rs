//! The faults of a run, drawn from a schedule, the seed and the groups (F3, F4).

use std::ops::Range as Numbers;
use std::time::Duration;

use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use super::MAX_FAULTS;
use super::file::{Entry, Kind, Schedule};
use super::values::{Direction, Range, Victims};
use crate::composition::Members;
use crate::manifest::FormatError;
use crate::suggest::unknown;

/// Keeps this chance apart from what instances draw from the same seed.
const DOMAIN: &[u8; 24] = b"hedgerow faults schedule";

/// One fault of a run. Times are counted from when faults begin (F6).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Fault {
    /// What happens.
    pub kind: Kind,
    /// Line of the list that says so.
    pub line: usize,
    /// Instances, sorted.
    pub victims: Vec<usize>,
    /// When it begins.
    pub begin: Duration,
    /// When it ends.
    pub end: Duration,
    /// Packets lost, for [`Kind::Loss`].
    pub percent: f64,
    /// Which way nothing passes, for [`Kind::Partition`] and [`Kind::Flap`].
    pub direction: Direction,
}

impl Schedule {
    /// The faults of a run with these groups of instances, in the order they begin. Equal
    /// arguments give equal faults.
    ///
    /// # Errors
    /// Where the list wants victims that are not there or not free, with its line.
    pub fn draw(&self, seed: u64, groups: &[Members]) -> Result<Vec<Fault>, FormatError> {
        let mut drawing = Drawing {
            schedule: self,
            groups: ranges(groups),
            instances: groups.iter().map(|group| group.count).sum(),
            faults: Vec::new(),
            taken: Vec::new(),
        };
        for (place, entry) in self.faults.iter().enumerate() {
            drawing.entry(entry, &mut chance(seed, place))?;
        }
        drawing.faults.sort_by_key(|fault| fault.begin);
        Ok(drawing.faults)
    }
}

/// Each fault of a list has a stream of its own.
fn chance(seed: u64, place: usize) -> ChaCha8Rng {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes[8..].copy_from_slice(DOMAIN);
    let mut chance = ChaCha8Rng::from_seed(bytes);
    chance.set_stream(place as u64);
    chance
}

/// The instances of each group, which are numbered one group after the other.
fn ranges(groups: &[Members]) -> Vec<(&str, Numbers<usize>)> {
    let mut next = 0;
    groups
        .iter()
        .map(|group| {
            let first = next;
            next += group.count;
            (group.id.as_str(), first..next)
        })
        .collect()
}

struct Drawing<'a> {
    schedule: &'a Schedule,
    groups: Vec<(&'a str, Numbers<usize>)>,
    instances: usize,
    faults: Vec<Fault>,
    /// Victims and times that leave no room for another fault of that kind.
    taken: Vec<Taken>,
}

/// A victim of a fault that goes with no other of its sort.
struct Taken {
    victim: usize,
    begin: Duration,
    end: Duration,
    of_process: bool,
    line: usize,
}

impl Drawing<'_> {
    fn entry(&mut self, entry: &Entry, chance: &mut ChaCha8Rng) -> Result<(), FormatError> {
        let end = self.schedule.end;
        let mut begin = within(entry.at, chance);
        for _ in 0..entry.times {
            if begin >= end {
                break;
            }
            let until = entry.lasts.map_or(end, |lasts| {
                begin.saturating_add(within(lasts, chance)).min(end)
            });
            let victims = self.victims(entry, begin, until, chance)?;
            if entry.kind.comes_and_goes() {
                self.come_and_go(entry, &victims, begin, until, chance)?;
            } else {
                self.add(entry, victims, begin, until)?;
            }
            let Some(every) = entry.every else { break };
            begin = begin.saturating_add(within(every, chance));
        }
        Ok(())
    }

    /// Each victim is well for a while, then not, then again.
    fn come_and_go(
        &mut self,
        entry: &Entry,
        victims: &[usize],
        begin: Duration,
        until: Duration,
        chance: &mut ChaCha8Rng,
    ) -> Result<(), FormatError> {
        for victim in victims {
            let mut now = begin.saturating_add(within(entry.up, chance));
            while now < until {
                let back = now.saturating_add(within(entry.down, chance)).min(until);
                self.add(entry, vec![*victim], now, back)?;
                now = back.saturating_add(within(entry.up, chance));
            }
        }
        Ok(())
    }

    fn add(
        &mut self,
        entry: &Entry,
        victims: Vec<usize>,
        begin: Duration,
        end: Duration,
    ) -> Result<(), FormatError> {
        if self.faults.len() == MAX_FAULTS {
            let reason = format!("more than {MAX_FAULTS} faults in all, drawn from this list");
            return Err(self.error(entry.line, reason));
        }
        self.faults.push(Fault {
            kind: entry.kind,
            line: entry.line,
            victims,
            begin,
            end,
            percent: entry.percent,
            direction: entry.direction,
        });
        Ok(())
    }

    /// Whom a fault hits that lasts from `begin` to `end`.
    fn victims(
        &mut self,
        entry: &Entry,
        begin: Duration,
        end: Duration,
        chance: &mut ChaCha8Rng,
    ) -> Result<Vec<usize>, FormatError> {
        let there = self.candidates(entry)?;
        let blocking = |victim: usize| {
            self.taken.iter().find(|taken| {
                !entry.kind.is_of_network()
                    && taken.victim == victim
                    && taken.of_process == entry.kind.is_of_process()
                    && taken.begin <= end
                    && begin <= taken.end
            })
        };
        let wanted = match &entry.victims {
            Victims::Count(count) => Some(*count),
            Victims::Share(share) => Some(((there.len() as f64 * share).round() as usize).max(1)),
            Victims::These(_) | Victims::All => None,
        };
        let victims = match wanted {
            None => {
                if let Some(taken) = there.iter().find_map(|victim| blocking(*victim)) {
                    let reason = format!(
                        "instance {} has the fault of line {} from {:?} to {:?} already",
                        taken.victim, taken.line, taken.begin, taken.end
                    );
                    return Err(self.error(entry.victims_line, reason));
                }
                there
            }
            Some(wanted) => {
                let mut free = there;
                free.retain(|victim| blocking(*victim).is_none());
                if free.len() < wanted {
                    let reason = format!(
                        "{wanted} victims from {begin:?} to {end:?}, and {} that are there and \
                         without such a fault",
                        free.len()
                    );
                    return Err(self.error(entry.victims_line, reason));
                }
                free.shuffle(chance);
                free.truncate(wanted);
                free.sort_unstable();
                free
            }
        };
        if entry.kind == Kind::Partition && victims.len() == self.instances {
            let reason = format!(
                "all {} instances are victims: nobody is left to be parted from",
                victims.len()
            );
            return Err(self.error(entry.victims_line, reason));
        }
        if !entry.kind.is_of_network() {
            self.taken.extend(victims.iter().map(|victim| Taken {
                victim: *victim,
                begin,
                end,
                of_process: entry.kind.is_of_process(),
                line: entry.line,
            }));
        }
        Ok(victims)
    }

    /// All that may be drawn, or those that are named.
    fn candidates(&self, entry: &Entry) -> Result<Vec<usize>, FormatError> {
        if let Victims::These(these) = &entry.victims {
            if let Some(victim) = these.iter().find(|victim| **victim >= self.instances) {
                let reason = format!(
                    "no instance {victim}; there are 0 to {}",
                    self.instances.saturating_sub(1)
                );
                return Err(self.error(entry.victims_line, reason));
            }
            return Ok(these.clone());
        }
        let Some((group, line)) = &entry.group else {
            return Ok((0..self.instances).collect());
        };
        match self.groups.iter().find(|(id, _)| id == group) {
            Some((_, numbers)) => Ok(numbers.clone().collect()),
            None => {
                let known = self.groups.iter().map(|(id, _)| *id);
                Err(self.error(*line, unknown("group", group, known)))
            }
        }
    }

    fn error(&self, line: usize, reason: impl ToString) -> FormatError {
        FormatError::Invalid {
            path: self.schedule.path.clone(),
            line,
            reason: reason.to_string(),
        }
    }
}

/// A time of a range, whole milliseconds from its beginning on.
fn within(range: Range, chance: &mut ChaCha8Rng) -> Duration {
    let span = range.to - range.from;
    let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX - 1);
    if millis == 0 {
        return range.from;
    }
    range.from + Duration::from_millis(chance.next_u64() % (millis + 1))
}
