//! Digests that a body has to have: those in its URL, which who asks knows beforehand, and those
//! that the answer itself names (Q35).

use http::{HeaderMap, HeaderName, Uri, header};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256, Sha512};

/// Names of the fields of RFC 9530. Of a whole answer both speak of the same bytes.
static FIELDS: [HeaderName; 2] = [
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("repr-digest"),
];

/// A digest that is known; written as `sha256:DIGITS`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) enum Known {
    Sha256([u8; 32]),
    Sha512([u8; 64]),
}

/// A body that is being held against a digest.
#[derive(Clone, Debug)]
pub(crate) enum Check {
    Sha256(Sha256, [u8; 32]),
    Sha512(Box<Sha512>, [u8; 64]),
}

impl Check {
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        match self {
            Check::Sha256(digest, _) => digest.update(bytes),
            Check::Sha512(digest, _) => digest.update(bytes),
        }
    }

    /// Whether all that was added has the digest.
    pub(crate) fn holds(self) -> bool {
        match self {
            Check::Sha256(digest, wanted) => digest.finalize()[..] == wanted,
            Check::Sha512(digest, wanted) => digest.finalize()[..] == wanted,
        }
    }
}

impl From<Known> for Check {
    fn from(known: Known) -> Check {
        match known {
            Known::Sha256(wanted) => Check::Sha256(Sha256::new(), wanted),
            Known::Sha512(wanted) => Check::Sha512(Box::default(), wanted),
        }
    }
}

impl From<Known> for String {
    fn from(known: Known) -> String {
        let (name, bytes) = match &known {
            Known::Sha256(bytes) => ("sha256", &bytes[..]),
            Known::Sha512(bytes) => ("sha512", &bytes[..]),
        };
        format!("{name}:{}", data_encoding::HEXLOWER.encode(bytes))
    }
}

impl TryFrom<String> for Known {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Known, &'static str> {
        let pair = text.split_once(':');
        pair.and_then(|(algorithm, digits)| Known::of_hex(algorithm, digits))
            .ok_or("no digest")
    }
}

impl Known {
    /// `sha256` and `sha512` with their digits.
    pub(crate) fn of_hex(algorithm: &str, digits: &str) -> Option<Known> {
        let bytes = || data_encoding::HEXLOWER_PERMISSIVE.decode(digits.as_bytes());
        match algorithm.to_ascii_lowercase().as_str() {
            "sha256" => Some(Known::Sha256(bytes().ok()?.try_into().ok()?)),
            "sha512" => Some(Known::Sha512(bytes().ok()?.try_into().ok()?)),
            _ => None,
        }
    }

    /// The digest that a URL itself names: of an OCI registry (`/v2/NAME/blobs/sha256:DIGITS`,
    /// `manifests` as well), or of an apt repository (`/by-hash/SHA256/DIGITS`).
    pub(crate) fn of_url(url: &Uri) -> Option<Known> {
        if url.query().is_some() {
            return None;
        }
        let path = url.path();
        let mut parts = path.rsplit('/');
        let (last, before) = (parts.next()?, parts.next()?);
        let is_oci = path.starts_with("/v2/") && matches!(before, "blobs" | "manifests");
        if is_oci {
            let (algorithm, digits) = last.split_once(':')?;
            return Known::of_hex(algorithm, digits);
        }
        (parts.next()? == "by-hash").then(|| Known::of_hex(before, last))?
    }

    /// What npm calls integrity, the strongest digest of it (Subresource Integrity, 3.1).
    pub(crate) fn of_integrity(text: &str) -> Option<Known> {
        let decode = |coded: &str| data_encoding::BASE64.decode(coded.as_bytes()).ok();
        let known = |member: &str| {
            let (algorithm, coded) = member.split('?').next()?.split_once('-')?;
            match algorithm {
                "sha256" => Some(Known::Sha256(decode(coded)?.try_into().ok()?)),
                "sha512" => Some(Known::Sha512(decode(coded)?.try_into().ok()?)),
                _ => None,
            }
        };
        let known = text.split_ascii_whitespace().filter_map(known);
        known.max_by_key(|known| matches!(known, Known::Sha512(_)))
    }

    /// The digests that an answer names.
    pub(crate) fn of_answer(fields: &HeaderMap) -> Vec<Known> {
        let values = FIELDS.iter().flat_map(|name| fields.get_all(name));
        let texts = values.filter_map(|value| value.to_str().ok());
        let members = texts.flat_map(|text| text.split(','));
        let known = members.filter_map(|member| {
            let (name, value) = member.trim().split_once('=')?;
            let value = value.split(';').next()?.trim();
            let coded = value.strip_prefix(':')?.strip_suffix(':')?;
            let bytes = data_encoding::BASE64.decode(coded.as_bytes()).ok()?;
            match name {
                "sha-256" => Some(Known::Sha256(bytes.try_into().ok()?)),
                "sha-512" => Some(Known::Sha512(bytes.try_into().ok()?)),
                _ => None,
            }
        });
        // As many as there are algorithms and fields: more are nobody's intention.
        known.take(4).collect()
    }
}

/// Whether the bytes of an answer are those that its URL's digest is of.
pub(crate) fn is_plain(fields: &HeaderMap) -> bool {
    !fields.contains_key(header::CONTENT_ENCODING)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGITS: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

    #[test]
    fn digests_in_urls_are_found() {
        let of = |path: &str| Known::of_url(&format!("http://a.example{path}").parse().unwrap());
        let hello = Check::from(of(&format!("/v2/library/x/blobs/sha256:{DIGITS}")).unwrap());
        let right = |mut check: Check, body: &[u8]| {
            check.add(body);
            check.holds()
        };
        assert!(right(hello.clone(), b"hello"));
        assert!(!right(hello, b"hellO"));
        for path in [
            format!("/v2/x/manifests/sha256:{DIGITS}"),
            format!("/debian/dists/sid/main/binary-amd64/by-hash/SHA256/{DIGITS}"),
            format!("/by-hash/sha256/{}", DIGITS.to_uppercase()),
        ] {
            assert!(of(&path).is_some(), "{path}");
        }
        for path in [
            format!("/x/blobs/sha256:{DIGITS}"),
            format!("/v2/x/blobs/sha256:{}", &DIGITS[1..]),
            format!("/v2/x/blobs/md5:{DIGITS}"),
            format!("/v2/x/tags/sha256:{DIGITS}"),
            format!("/SHA256/{DIGITS}"),
            format!("/v2/x/blobs/sha256:{DIGITS}?a"),
            "/".to_owned(),
        ] {
            assert_eq!(of(&path), None, "{path}");
        }
    }

    #[test]
    fn digests_of_subresources_are_found() {
        let sha256 = "sha256-LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=";
        let sha512 = "sha512-m3HSJL1i83hdltRq0+o9czGb+8KJDKra4t/3JRlnPKcjI8PZm6XBHXx6zG4UuMXaDEZjR1wuXDre9G9zvN7AQw==";
        for text in [
            sha512.to_owned(),
            format!("{sha256} {sha512}?x"),
            format!("{sha512} {sha256} sha1-AAAA"),
        ] {
            let mut check = Check::from(Known::of_integrity(&text).unwrap());
            assert!(matches!(check, Check::Sha512(..)), "{text}");
            check.add(b"hello");
            assert!(check.holds(), "{text}");
        }
        assert!(matches!(
            Known::of_integrity(sha256),
            Some(Known::Sha256(_))
        ));
        for none in ["", "sha1-AAAA", "sha512-AAAA", "sha512", "sha512-%"] {
            assert_eq!(Known::of_integrity(none), None, "{none}");
        }
    }

    #[test]
    fn digests_of_answers_are_found() {
        let fields = |text: &str| {
            let mut fields = HeaderMap::new();
            fields.insert("content-digest", text.parse().unwrap());
            fields
        };
        let said = "md5=:AAAA:, sha-256=:LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=:;q=1";
        let known = Known::of_answer(&fields(said));
        let Ok(Known::Sha256(digest)) = <[Known; 1]>::try_from(known).map(|[one]| one) else {
            panic!("one digest");
        };
        assert_eq!(data_encoding::HEXLOWER.encode(&digest), DIGITS);
        for none in [
            "",
            "sha-256",
            "sha-256=:AAAA:",
            "sha-256=AAAA",
            "sha-256=:%:",
        ] {
            assert_eq!(Known::of_answer(&fields(none)), [], "{none}");
        }
    }
}
