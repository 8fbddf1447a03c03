//! Names that are safe to make a file of (rule U14).

use crate::error::Malformed;
use crate::profile::MAX_NAME;

/// Refuses what is not the name of one new entry of a directory.
pub(crate) fn check(name: &str) -> Result<(), Malformed> {
    let bad = matches!(name, "" | "." | "..")
        || name.len() > MAX_NAME
        || name.bytes().any(|byte| matches!(byte, b'/' | 0));
    if bad { Err(Malformed::Name) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn only_single_names() {
        for good in ["a", "...", ".hidden", "a b", "日本語", "a\\b", "\n", "-rf"] {
            assert!(check(good).is_ok(), "{good:?}");
        }
        for bad in [
            "",
            ".",
            "..",
            "/",
            "a/b",
            "/etc",
            "../x",
            "a\0",
            &"n".repeat(256),
        ] {
            assert!(check(bad).is_err(), "{bad:?}");
        }
    }
}
