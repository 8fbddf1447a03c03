//! The list of a key's names (J5).

use std::collections::BTreeSet;

use bytes::Bytes;

use crate::Name;

/// Names of a namespace at most.
pub const MAX_NAMES: usize = 65_536;

/// Bytes of a namespace's list at most.
pub const MAX_NAMES_BYTES: u64 = 16 << 20;

/// Longest name that is suggested in place of another, in bytes, and how much longer or
/// shorter it is at most.
const MAX_COMPARED: usize = 256;
const LENGTHS_APART: usize = 4;

/// Names that are compared with one that is not there.
const MAX_LIKE: usize = 4_096;

/// How like two names are, from 0 to 1, of which one is suggested for the other.
const LIKE: f64 = 0.6;

/// Names in the order of their bytes.
pub(crate) type Names = BTreeSet<String>;

/// Reads a list. What somebody else wrote may be anything: lines that are no names are
/// passed over.
pub(crate) fn read(text: &[u8]) -> Names {
    text.split(|byte| *byte == b'\n')
        .filter_map(|line| std::str::from_utf8(line).ok())
        .filter(|line| !line.is_empty() && Name::checked(line).is_ok())
        .take(MAX_NAMES)
        .map(str::to_owned)
        .collect()
}

/// The list as a text.
pub(crate) fn write(names: &Names) -> Bytes {
    let mut text = String::new();
    for name in names {
        text.push_str(name);
        text.push('\n');
    }
    text.into()
}

/// Whether one more name has room on a list, or is on it.
pub(crate) fn has_room(names: &Names, name: &str) -> bool {
    let bytes = |name: &str| name.len() as u64 + 1;
    names.contains(name)
        || names.len() < MAX_NAMES
            && names.iter().map(|name| bytes(name)).sum::<u64>() + bytes(name) <= MAX_NAMES_BYTES
}

/// The stretch in which two lists differ: where it begins, what goes of the old one, and
/// what comes.
pub(crate) fn change(old: &[u8], new: &Bytes) -> (u64, u64, Bytes) {
    let common = |pairs: &mut dyn Iterator<Item = (&u8, &u8)>| {
        pairs.take_while(|(old, new)| old == new).count()
    };
    let head = common(&mut old.iter().zip(new.iter()));
    let (old_rest, new_rest) = (&old[head..], &new[head..]);
    let tail = common(&mut old_rest.iter().rev().zip(new_rest.iter().rev()));
    let gone = old_rest.len() - tail;
    (head as u64, gone as u64, new.slice(head..new.len() - tail))
}

/// At most three names that are most like one that is not there.
pub(crate) fn nearest(names: &Names, wanted: &str) -> Vec<String> {
    // A slip changes the length little. What is compared takes the product of the lengths.
    let like = |name: &&String| {
        name.len() <= MAX_COMPARED && name.len().abs_diff(wanted.len()) <= LENGTHS_APART
    };
    let mut scored: Vec<(f64, &String)> = names
        .iter()
        .filter(like)
        .take(MAX_LIKE)
        .map(|name| (strsim::normalized_damerau_levenshtein(name, wanted), name))
        .filter(|(likeness, _)| *likeness >= LIKE)
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
    let names = scored.into_iter().take(3);
    names.map(|(_, name)| name.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists() {
        let names: Names = ["b", "a/c", "ü"].into_iter().map(str::to_owned).collect();
        let text = write(&names);
        assert_eq!(&text[..], "a/c\nb\nü\n".as_bytes());
        assert_eq!(read(&text), names);
        assert_eq!(read(b"a\n\n/x\n\xff\nb"), read(b"a\nb\n"));
        assert_eq!(nearest(&names, "a/d"), ["a/c"]);
    }

    #[test]
    fn a_full_list_takes_no_new_name() {
        let mut names: Names = (1..MAX_NAMES).map(|at| at.to_string()).collect();
        assert!(has_room(&names, "new"));
        names.insert("last".to_owned());
        assert!(!has_room(&names, "new"));
        assert!(has_room(&names, "last"));
        let names = Names::from(["x".repeat(MAX_NAMES_BYTES as usize - 5)]);
        assert!(has_room(&names, "new"));
        assert!(!has_room(&names, "news"));
    }

    #[test]
    fn changes() {
        for (old, new) in [
            ("a\nb\n", "a\naa\nb\n"),
            ("a\na\n", "a\n"),
            ("", "a\n"),
            ("a\n", ""),
        ] {
            let new = Bytes::from(new);
            let (at, gone, comes) = change(old.as_bytes(), &new);
            let mut made = old.as_bytes().to_vec();
            made.splice(at as usize..(at + gone) as usize, comes.to_vec());
            assert_eq!(made, new);
        }
    }
}
