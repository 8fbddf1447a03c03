//! The list of a key's names (J5).

use std::ops::Range;

use bytes::Bytes;
use unixfs::{Chunking, Insert, Options};

use crate::Name;
use crate::names::{Names, line};

/// Names of a namespace at most: as many as a store has objects (J16).
pub const MAX_NAMES: usize = 262_144;

/// Bytes of a namespace's list at most.
pub const MAX_NAMES_BYTES: u64 = 32 << 20;

/// Bytes of a leaf of the list at most, and links of a node. A new name costs one of each level:
/// two levels of nodes stand above 100,000 names.
const LEAF: usize = 8 * 1024;
const LINKS: usize = 128;

/// Longest name that is suggested in place of another, in bytes, and how much longer or
/// shorter it is at most.
const MAX_COMPARED: usize = 256;
const LENGTHS_APART: usize = 4;

/// Names that are compared with one that is not there.
const MAX_LIKE: usize = 4_096;

/// How like two names are, from 0 to 1, of which one is suggested for the other.
const LIKE: f64 = 0.6;

/// Reads a list. What somebody else wrote may be anything: lines that are no names are
/// passed over.
pub(crate) fn read(text: &[u8]) -> Names {
    text.split(|byte| *byte == b'\n')
        .filter_map(|line| std::str::from_utf8(line).ok())
        .filter(|line| !line.is_empty() && Name::checked(line).is_ok())
        .take(MAX_NAMES)
        .collect()
}

/// The list as a text.
pub(crate) fn write(names: &Names) -> Bytes {
    let mut text = String::with_capacity(usize::try_from(names.bytes()).unwrap_or_default());
    for name in names.iter() {
        text.push_str(name);
        text.push('\n');
    }
    text.into()
}

/// Whether a text is the list of these names and nothing else.
pub(crate) fn is_exactly(text: &[u8], names: &Names) -> bool {
    text.len() as u64 == names.bytes() && text == write(names)
}

/// How a list is cut into blocks.
pub(crate) fn options() -> Options {
    Options {
        chunking: Chunking::Size(LEAF),
        max_links: LINKS,
        ..Options::default()
    }
}

/// Room for names that are not on the list yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Room {
    pub(crate) names: usize,
    pub(crate) bytes: u64,
}

impl Room {
    pub(crate) fn of(name: &str) -> Room {
        Room {
            names: 1,
            bytes: line(name),
        }
    }
}

/// Whether one more name has room on a list beside those that are promised some, or is on it.
pub(crate) fn has_room(names: &Names, promised: Room, name: &str) -> bool {
    names.contains(name)
        || names.len() + promised.names < MAX_NAMES
            && names.bytes() + promised.bytes + line(name) <= MAX_NAMES_BYTES
}

/// Adds a name; how the text changes, unless it is there.
pub(crate) fn add(names: &mut Names, name: &str) -> Option<(Range<u64>, Insert)> {
    let at = names.insert(name)?;
    Some((at..at, Insert::Bytes(format!("{name}\n").into())))
}

/// Takes a name away; how the text changes, if it is there.
pub(crate) fn take(names: &mut Names, name: &str) -> Option<(Range<u64>, Insert)> {
    let at = names.remove(name)?;
    Some((at..at + line(name), Insert::Nothing))
}

/// At most three names that are most like one that is not there.
pub(crate) fn nearest(names: &Names, wanted: &str) -> Vec<String> {
    // A slip changes the length little. What is compared takes the product of the lengths.
    let like = |name: &&str| {
        name.len() <= MAX_COMPARED && name.len().abs_diff(wanted.len()) <= LENGTHS_APART
    };
    let mut scored: Vec<(f64, &str)> = names
        .iter()
        .filter(like)
        .take(MAX_LIKE)
        .map(|name| (strsim::normalized_damerau_levenshtein(name, wanted), name))
        .filter(|(likeness, _)| *likeness >= LIKE)
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
    let names = scored.into_iter().take(3);
    names.map(|(_, name)| name.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists() {
        let names: Names = ["b", "a/c", "ü"].into_iter().collect();
        let text = write(&names);
        assert_eq!(&text[..], "a/c\nb\nü\n".as_bytes());
        assert_eq!(write(&read(&text)), text);
        assert!(is_exactly(&text, &names));
        assert_eq!(write(&read(b"a\n\n/x\n\xff\nb")), write(&read(b"a\nb\n")));
        // What has other lines, or another order, is not changed by places in it.
        for other in ["b\na\n", "a\nb", "a\n\nb\n", "a\na\nb\n"] {
            assert!(
                !is_exactly(other.as_bytes(), &read(other.as_bytes())),
                "{other:?}"
            );
        }
        assert_eq!(nearest(&names, "a/d"), ["a/c"]);
    }

    #[test]
    fn a_full_list_takes_no_new_name() {
        let none = Room::default();
        let numbers: Vec<String> = (1..MAX_NAMES).map(|at| at.to_string()).collect();
        let mut names: Names = numbers.iter().map(String::as_str).collect();
        assert!(has_room(&names, none, "new"));
        assert!(!has_room(&names, Room::of("promised"), "new"));
        names.insert("last");
        assert!(!has_room(&names, none, "new"));
        assert!(has_room(&names, none, "last"));
        let long = "x".repeat(MAX_NAMES_BYTES as usize - 5);
        let names: Names = [&*long].into_iter().collect();
        assert!(has_room(&names, none, "new"));
        assert!(!has_room(&names, none, "news"));
        assert!(!has_room(&names, Room::of("x"), "new"));
    }
}
