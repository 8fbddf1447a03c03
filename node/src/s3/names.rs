//! Buckets and keys as names of objects, and back (K1 to K3).

use objects::Name;
use s3s::{S3Error, S3ErrorCode, S3Result, s3_error};

/// Longest key, in bytes: as long as S3's may be. Escaped it is three times as long.
pub(super) const MAX_KEY: usize = 1024;

/// What names of the door itself begin with; no bucket is called so.
pub(super) const OWN: &str = ".s3/";

/// The name of an object. Whoever has it can say both parts again.
pub(super) fn name_of(bucket: &str, key: &str) -> S3Result<Name> {
    if key.len() > MAX_KEY {
        return Err(s3_error!(KeyTooLongError));
    }
    if key.is_empty() {
        return Err(s3_error!(InvalidArgument, "the key is empty"));
    }
    if let Some(bad) = key.chars().find(|char| is_refused(*char)) {
        return Err(S3Error::with_message(
            S3ErrorCode::InvalidArgument,
            format!(
                "the key has the character U+{:04X}, which no list of keys can show",
                u32::from(bad)
            ),
        ));
    }
    Name::new(&format!("{bucket}/{}", escaped(bucket, key)))
        .map_err(|error| S3Error::with_message(S3ErrorCode::InvalidArgument, error.to_string()))
}

/// The bucket and the key that a name is; none where no key leads to it.
pub(super) fn key_of(name: &str) -> Option<(&str, String)> {
    let (bucket, rest) = name.split_once('/')?;
    if !is_bucket(bucket) {
        return None;
    }
    let key = unescaped(rest)?;
    // What a person has written with % where it is not needed is another name.
    let same = name_of(bucket, &key).is_ok_and(|again| again.as_str() == name);
    same.then_some((bucket, key))
}

/// The name of the object that says what a bucket is.
pub(super) fn name_of_bucket(bucket: &str) -> S3Result<Name> {
    match is_bucket(bucket) {
        true => Name::new(&format!("{OWN}{bucket}")).map_err(|error| {
            S3Error::with_message(S3ErrorCode::InvalidBucketName, error.to_string())
        }),
        false => Err(s3_error!(InvalidBucketName)),
    }
}

/// The bucket that a name belongs to: by its key, or as what says what the bucket is.
pub(super) fn bucket_of(name: &str) -> Option<&str> {
    let bucket = match name.strip_prefix(OWN) {
        Some(bucket) => bucket,
        None => name.split_once('/')?.0,
    };
    is_bucket(bucket).then_some(bucket)
}

/// S3's rule for the names of buckets.
pub(super) fn is_bucket(name: &str) -> bool {
    let fine = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-');
    let ends = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = name.as_bytes();
    (3..=63).contains(&bytes.len())
        && bytes.iter().all(|byte| fine(*byte))
        && ends(bytes.first())
        && ends(bytes.last())
        && !name.contains("..")
        && name.parse::<std::net::Ipv4Addr>().is_err()
}

/// Characters that XML 1.0 has no way to write.
fn is_refused(char: char) -> bool {
    let control = char.is_control() && !matches!(char, '\t' | '\n' | '\r' | '\u{80}'..='\u{9f}');
    control || matches!(char, '\u{fffe}' | '\u{ffff}')
}

/// A key as the rest of a name (K2).
fn escaped(bucket: &str, key: &str) -> String {
    let text = escape_key(bucket, key, false);
    let whole = format!("{bucket}/{text}");
    match Name::new(&whole) {
        Ok(name) if name.as_str() == whole => text,
        // Brought into normal form, two keys would be one name.
        _ => escape_key(bucket, key, true),
    }
}

fn escape_key(bucket: &str, key: &str, ascii: bool) -> String {
    let mut text = String::with_capacity(key.len() + 8);
    let mut part = 0;
    for (at, char) in key.char_indices() {
        let rest = &key[at + char.len_utf8()..];
        match char {
            // A slash divides where there is something on both of its sides.
            '/' if text.len() > part && !rest.is_empty() => {
                text.push('/');
                part = text.len();
            }
            '/' => escape(&mut text, char),
            '.' if is_dots(key, at) => escape(&mut text, char),
            '%' if begins_with_hex(rest) => escape(&mut text, char),
            _ if char.is_control() || ascii && !char.is_ascii() => escape(&mut text, char),
            _ => text.push(char),
        }
    }
    // What would be read as a version.
    if let Some(at) = text.rfind('@')
        && Name::new(&format!("{bucket}/x{}", &text[at..])).is_err()
    {
        text.replace_range(at..=at, "%40");
    }
    // What would be read as a CID.
    if Name::new(&format!("{bucket}/{text}")) == Err(objects::NameError::Cid)
        && let Some(last) = text.pop()
    {
        escape(&mut text, last);
    }
    text
}

/// Whether the dot there is one of a part that is `.` or `..`.
fn is_dots(key: &str, at: usize) -> bool {
    let before = key[..at].rsplit('/').next().unwrap_or_default();
    let behind = key[at..].split('/').next().unwrap_or_default();
    matches!((before, behind), ("", "." | "..") | (".", "."))
}

fn begins_with_hex(rest: &str) -> bool {
    let hex = |byte: &u8| matches!(byte, b'0'..=b'9' | b'A'..=b'F');
    let bytes = rest.as_bytes();
    bytes.len() >= 2 && bytes[..2].iter().all(hex)
}

fn escape(text: &mut String, char: char) {
    for byte in char.encode_utf8(&mut [0; 4]).bytes() {
        text.push_str(&format!("%{byte:02X}"));
    }
}

fn unescaped(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        bytes.extend_from_slice(&rest.as_bytes()[..at]);
        rest = &rest[at + 1..];
        if begins_with_hex(rest) {
            bytes.push(u8::from_str_radix(&rest[..2], 16).ok()?);
            rest = &rest[2..];
        } else {
            bytes.push(b'%');
        }
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CID: &str = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku";

    #[test]
    fn keys_are_names_that_say_them_again() {
        for (key, name) in [
            ("cat.jpg", "cat.jpg"),
            ("a/b c/ü.txt", "a/b c/ü.txt"),
            ("dir/", "dir%2F"),
            ("/a", "%2Fa"),
            ("a//b", "a/%2Fb"),
            ("a//", "a/%2F"),
            ("//", "%2F%2F"),
            (".", "%2E"),
            ("a/../b", "a/%2E%2E/b"),
            ("a/./", "a/%2E%2F"),
            ("...", "..."),
            (".hidden", ".hidden"),
            ("..a", "..a"),
            ("100%", "100%"),
            ("100%41", "100%2541"),
            ("100%4", "100%4"),
            ("a\tb\nc", "a%09b%0Ac"),
            // Two ways to type one letter are two keys.
            ("e\u{301}", "e%CC%81"),
            ("\u{e9}", "\u{e9}"),
            ("cat@v3", "cat%40v3"),
            ("cat@", "cat@"),
            ("a@b@v3", "a@b%40v3"),
            ("cat@v3/x", "cat@v3/x"),
            ("bafkreigh2akiscaild", "bafkreigh2akiscaild"),
        ] {
            let made = name_of("photos", key).unwrap();
            assert_eq!(made.as_str(), format!("photos/{name}"), "{key:?}");
            let back = key_of(made.as_str()).unwrap();
            assert_eq!(back, ("photos", key.to_owned()));
        }
        for key in [
            CID,
            &format!("x@{CID}"),
            &format!("ipfs/{CID}"),
            &format!("a/ipfs/{CID}"),
        ] {
            let made = name_of("photos", key).unwrap();
            let back = key_of(made.as_str()).unwrap();
            assert_eq!(back, ("photos", key.to_owned()));
        }
    }

    #[test]
    fn what_no_list_can_show_is_refused() {
        for key in ["", "a\0b", "a\u{1}", "\u{7f}", "\u{fffe}"] {
            assert!(name_of("photos", key).is_err(), "{key:?}");
        }
        assert!(name_of("photos", &"k".repeat(MAX_KEY)).is_ok());
        assert!(name_of("photos", &"/".repeat(MAX_KEY)).is_ok());
        assert!(name_of("photos", &"k".repeat(MAX_KEY + 1)).is_err());
    }

    #[test]
    fn names_that_no_key_leads_to() {
        for name in [
            "notes.txt",
            "Photos/cat.jpg",
            ".s3/photos",
            "photos/a%41",
            "photos/%FF",
        ] {
            assert_eq!(key_of(name), None, "{name}");
        }
        assert_eq!(bucket_of(".s3/photos"), Some("photos"));
        assert_eq!(bucket_of("photos/cat.jpg"), Some("photos"));
        assert_eq!(bucket_of("cat.jpg"), None);
        for bad in [
            "ab",
            "Abc",
            "a_b",
            "-abc",
            "a..b",
            "192.168.0.1",
            &"a".repeat(64),
        ] {
            assert!(!is_bucket(bad), "{bad}");
        }
    }

    proptest::proptest! {
        #[test]
        fn every_key_comes_back(key in "[a%/.@\u{e9}\u{301}v2F\t]{1,12}|.{1,40}") {
            if let Ok(name) = name_of("photos", &key) {
                proptest::prop_assert_eq!(key_of(name.as_str()), Some(("photos", key)));
            } else {
                proptest::prop_assert!(key.chars().any(is_refused));
            }
        }
    }
}
