//! The names of objects (J2).

use std::borrow::Cow;
use std::fmt;

use cid::Cid;
use icu_normalizer::ComposingNormalizerBorrowed;

/// Longest name, in bytes (J2): as long as a path may be on Linux.
pub const MAX_NAME: usize = 4096;

/// The name of an object in somebody's namespace, or the empty name of the namespace itself.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

/// Why a text is no name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Longer than [`MAX_NAME`].
    #[error("the name has {size} bytes, at most {MAX_NAME} are allowed")]
    TooLong {
        /// Its length in bytes.
        size: usize,
    },
    /// Nothing at all.
    #[error("the name is empty")]
    Empty,
    /// A part between two slashes, or before the first or behind the last one, is empty.
    #[error("the name has an empty part: it begins or ends with / or has two in a row")]
    EmptyPart,
    /// A part that means another place.
    #[error("the name has a part that is `{0}`")]
    Dots(String),
    /// A character that is not for reading.
    #[error("the name has the control character U+{0:04X}")]
    Control(u32),
    /// It ends like a version.
    #[error("the name ends like a version: {0:?}")]
    Version(String),
    /// It could not be told from a CID.
    #[error("the name looks like a CID")]
    Cid,
}

impl Name {
    /// Brings a text into normal form NFC and checks it.
    pub fn new(text: &str) -> Result<Name, NameError> {
        // Before the work of normalising: what is longer by far stays too long.
        if text.len() > 4 * MAX_NAME {
            return Err(NameError::TooLong { size: text.len() });
        }
        let text = normal(text);
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        Name::checked(&text)
    }

    /// The name of the namespace (J5).
    pub fn namespace() -> Name {
        Name(String::new())
    }

    /// Checks a name as a record has it: whatever its normal form (J2).
    pub(crate) fn checked(text: &str) -> Result<Name, NameError> {
        if text.is_empty() {
            return Ok(Name::namespace());
        }
        if text.len() > MAX_NAME {
            return Err(NameError::TooLong { size: text.len() });
        }
        if let Some(control) = text.chars().find(|char| char.is_control()) {
            return Err(NameError::Control(control.into()));
        }
        for part in text.split('/') {
            match part {
                "" => return Err(NameError::EmptyPart),
                "." | ".." => return Err(NameError::Dots(part.to_owned())),
                _ => {}
            }
        }
        if let Some((_, suffix)) = text.rsplit_once('@')
            && is_version(suffix)
        {
            return Err(NameError::Version(format!("@{suffix}")));
        }
        if looks_like_cid(text) {
            return Err(NameError::Cid);
        }
        Ok(Name(text.to_owned()))
    }

    /// The name as text; empty for the namespace.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is the namespace's.
    pub fn is_namespace(&self) -> bool {
        self.0.is_empty()
    }

    /// The last of its parts.
    pub fn last_part(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }
}

/// What names may begin with, in the normal form that they have (J2); all begin with the empty
/// text.
///
/// # Errors
/// Where no name begins so.
pub fn prefix(text: &str) -> Result<String, NameError> {
    if text.is_empty() {
        return Ok(String::new());
    }
    // A name that begins so: what may not end a name, as a slash, may well end a prefix.
    let Name(mut name) = Name::new(&format!("{text}x"))?;
    name.pop();
    Ok(name)
}

/// A text in the normal form that names have (J2).
pub(crate) fn normal(text: &str) -> Cow<'_, str> {
    ComposingNormalizerBorrowed::new_nfc().normalize(text)
}

/// Whether what follows an `@` says a version (J4).
pub(crate) fn is_version(suffix: &str) -> bool {
    let digits = suffix.strip_prefix('v').unwrap_or_default();
    let number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    number || suffix.parse::<Cid>().is_ok()
}

/// Whether somebody who typed this may have meant a CID, rightly or with a slip.
pub(crate) fn looks_like_cid(text: &str) -> bool {
    let alphanumeric = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let base32 = |rest: &str| {
        let digit = |byte| matches!(byte, b'a'..=b'z' | b'2'..=b'7');
        // A long one with a slip in it is meant as a CID too.
        rest.len() >= 8 && (rest.bytes().all(digit) || rest.len() >= 40 && alphanumeric(rest))
    };
    let base58 = |rest: &str| (40..=48).contains(&rest.len()) && alphanumeric(rest);
    text.strip_prefix("baf").is_some_and(base32)
        || text.strip_prefix("Qm").is_some_and(base58)
        || text.parse::<Cid>().is_ok()
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_refused() {
        let long = "a".repeat(MAX_NAME + 1);
        for (text, error) in [
            ("", NameError::Empty),
            ("/a", NameError::EmptyPart),
            ("a/", NameError::EmptyPart),
            ("a//b", NameError::EmptyPart),
            ("a/../b", NameError::Dots("..".into())),
            (".", NameError::Dots(".".into())),
            ("a\0b", NameError::Control(0)),
            ("a\nb", NameError::Control(10)),
            ("a\u{85}", NameError::Control(0x85)),
            ("cat@v3", NameError::Version("@v3".into())),
            ("bafnonsense", NameError::Cid),
            (&long, NameError::TooLong { size: MAX_NAME + 1 }),
        ] {
            assert_eq!(Name::new(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn names_that_are_fine() {
        for text in [
            "a",
            "a/b.c",
            "Füße/猫.jpg",
            "a b",
            "...",
            "a@b",
            "@v",
            "cat@v",
            "baf",
            "me:a",
        ] {
            assert_eq!(Name::new(text).unwrap().as_str(), text);
        }
        // Two ways to type one letter.
        assert_eq!(Name::new("e\u{301}"), Name::new("\u{e9}"));
        assert_eq!(Name::new("a/b").unwrap().last_part(), "b");
    }
}
