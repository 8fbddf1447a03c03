//! Values in a list of faults, each refused where it stands (F1).

use std::fmt;
use std::time::Duration;

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// A length of time, or two between which it is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) from: Duration,
    pub(super) to: Duration,
}

/// Whom a fault hits.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Victims {
    /// These instances.
    These(Vec<usize>),
    /// So many, drawn.
    Count(usize),
    /// This share, 0 to 1, drawn.
    Share(f64),
    /// All there are.
    All,
}

/// Bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bytes(pub(super) u64);

/// Which way nothing passes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Neither.
    #[default]
    Both,
    /// What victims send arrives nowhere.
    Out,
    /// Nothing arrives at victims.
    In,
}

impl Range {
    /// One time.
    pub(super) fn exactly(time: Duration) -> Range {
        Range {
            from: time,
            to: time,
        }
    }
}

impl<'de> Deserialize<'de> for Range {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Range, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Range;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time as in \"5s\", or two of them")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Range, E> {
                time(text).map(Range::exactly)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Range, A::Error> {
                let mut times = Vec::new();
                while let Some(text) = seq.next_element::<String>()? {
                    times.push(time(&text)?);
                }
                match times[..] {
                    [from, to] if from <= to => Ok(Range { from, to }),
                    [from, to] => Err(A::Error::custom(format!("{from:?} is after {to:?}"))),
                    _ => Err(A::Error::invalid_length(times.len(), &self)),
                }
            }
        }
        deserializer.deserialize_any(Text)
    }
}

impl<'de> Deserialize<'de> for Victims {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Victims, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Victims;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of instances, how many, a share as in \"33%\", or \"all\"")
            }

            fn visit_i64<E: Error>(self, count: i64) -> Result<Victims, E> {
                match usize::try_from(count) {
                    Ok(count) if count > 0 => Ok(Victims::Count(count)),
                    _ => Err(E::custom(format!("{count} victims: at least one"))),
                }
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Victims, E> {
                if text == "all" {
                    return Ok(Victims::All);
                }
                let percent = text.strip_suffix('%').map(str::parse::<f64>);
                match percent {
                    Some(Ok(percent)) if percent > 0.0 && percent <= 100.0 => {
                        Ok(Victims::Share(percent / 100.0))
                    }
                    Some(_) => Err(E::custom(format!("`{text}` is no share: above 0% to 100%"))),
                    None => Err(E::invalid_value(serde::de::Unexpected::Str(text), &self)),
                }
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Victims, A::Error> {
                let mut these = Vec::new();
                while let Some(one) = seq.next_element::<usize>()? {
                    if these.contains(&one) {
                        return Err(A::Error::custom(format!("instance {one} is there twice")));
                    }
                    these.push(one);
                }
                if these.is_empty() {
                    return Err(A::Error::custom("no victims: at least one"));
                }
                these.sort_unstable();
                Ok(Victims::These(these))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
        /// Below this no node has room for anything, above it no machine has memory.
        const LEAST: u64 = 1 << 20;
        const MOST: u64 = 1 << 36;
        let text = String::deserialize(deserializer)?;
        let split = text
            .trim_end_matches(|c: char| c.is_ascii_alphabetic())
            .len();
        let (number, unit) = text.split_at(split);
        let factor: Option<u64> = match unit {
            "" | "B" => Some(1),
            "KiB" => Some(1 << 10),
            "MiB" => Some(1 << 20),
            "GiB" => Some(1 << 30),
            _ => None,
        };
        number
            .trim()
            .parse::<u64>()
            .ok()
            .zip(factor)
            .and_then(|(number, factor)| number.checked_mul(factor))
            .filter(|bytes| (LEAST..=MOST).contains(bytes))
            .map(Bytes)
            .ok_or_else(|| {
                D::Error::custom(format!("`{text}` is no size as in `64MiB`, 1MiB to 64GiB"))
            })
    }
}

fn time<E: Error>(text: &str) -> Result<Duration, E> {
    humantime::parse_duration(text).map_err(|error| E::custom(format!("`{text}`: {error}")))
}
