//! Lists of keys and of versions (K11).

use data_encoding::BASE64URL_NOPAD;
use futures::{StreamExt, TryStreamExt, stream};
use objects::Name;
use s3s::{S3Error, S3Result, dto, s3_error};

use super::{
    bucket_keys::{Keys, behind},
    shelf::{Newest, Shelf, Version},
    times::timestamp,
};

/// Keys, versions or uploads in one answer at most.
pub(super) const MAX_LISTED: usize = 1_000;

/// Records and properties read at a time.
const AT_A_TIME: usize = 16;

/// Which part of a list is wanted.
pub(super) struct Wanted {
    pub(super) prefix: String,
    pub(super) delimiter: Option<String>,
    /// Keys, and common prefixes, from behind this on.
    pub(super) after: Option<String>,
    pub(super) max: usize,
    /// Whether names are percent-encoded.
    pub(super) encode: bool,
}

impl Wanted {
    pub(super) fn new(
        prefix: Option<String>,
        delimiter: Option<String>,
        after: Option<String>,
        max: Option<i32>,
        encoding: Option<&dto::EncodingType>,
    ) -> S3Result<Wanted> {
        let max = max.unwrap_or(MAX_LISTED as i32);
        let max = usize::try_from(max)
            .map_err(|_| s3_error!(InvalidArgument, "a negative number of keys"))?;
        let encode = match encoding.map(dto::EncodingType::as_str) {
            None => false,
            Some("url") => true,
            Some(_) => {
                return Err(s3_error!(
                    InvalidArgument,
                    "the encoding type can only be url"
                ));
            }
        };
        Ok(Wanted {
            prefix: prefix.unwrap_or_default(),
            delimiter: delimiter.filter(|delimiter| !delimiter.is_empty()),
            after,
            max: max.min(MAX_LISTED),
            encode,
        })
    }

    /// A name as it is answered.
    pub(super) fn say(&self, text: &str) -> String {
        match self.encode {
            true => encoded(text),
            false => text.to_owned(),
        }
    }

    /// The common prefix that stands for a key.
    pub(super) fn common<'a>(&self, key: &'a str) -> Option<&'a str> {
        let delimiter = self.delimiter.as_deref()?;
        let rest = key.strip_prefix(self.prefix.as_str())?;
        let at = rest.find(delimiter)?;
        Some(&key[..self.prefix.len() + at + delimiter.len()])
    }

    /// From where on keys are wanted; none where nothing can be there.
    fn start(&self) -> Option<String> {
        match self.after.as_deref() {
            // A common prefix that was answered stands for all of its keys.
            Some(after) if self.common(after) == Some(after) => behind(after),
            Some(after) if after >= self.prefix.as_str() => Some(next(after)),
            Some(_) | None => Some(self.prefix.clone()),
        }
    }
}

/// The first text behind another one.
fn next(text: &str) -> String {
    format!("{text}\0")
}

/// A part of a list.
#[derive(Default)]
pub(super) struct Page {
    pub(super) keys: Vec<(String, Name)>,
    pub(super) common: Vec<String>,
    /// Where the next one goes on, if there is more.
    pub(super) next: Option<String>,
}

/// The part of some keys that is wanted. What a common prefix stands for is passed over unread.
pub(super) fn page(keys: &mut impl Keys, wanted: &Wanted) -> Page {
    let mut page = Page::default();
    let (mut start, mut last) = (wanted.start(), None);
    while let Some(from) = start
        && let Some((key, name)) = keys.first_from(&from)
        && key.starts_with(&wanted.prefix)
    {
        if page.keys.len() + page.common.len() == wanted.max {
            page.next = last;
            break;
        }
        match wanted.common(&key) {
            Some(common) => {
                start = behind(common);
                last = Some(common.to_owned());
                page.common.push(common.to_owned());
            }
            None => {
                start = Some(next(&key));
                last = Some(key.clone());
                page.keys.push((key, name));
            }
        }
    }
    page
}

/// A place in a list as a token that nobody reads anything into.
pub(super) fn token(place: &str) -> String {
    BASE64URL_NOPAD.encode(place.as_bytes())
}

pub(super) fn place(token: &str) -> S3Result<String> {
    let bytes = BASE64URL_NOPAD.decode(token.as_bytes()).ok();
    bytes
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(|| {
            s3_error!(
                InvalidArgument,
                "the continuation token is not one of this node"
            )
        })
}

/// What S3's clients decode: all but letters, digits, `-`, `_`, `.`, `~` and `/`.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'/' => {
                out.push(byte.into());
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

impl Shelf {
    /// The part of a bucket's keys that is wanted, and what is known of each.
    pub(super) async fn list(
        &self,
        bucket: &str,
        wanted: &Wanted,
    ) -> S3Result<(Page, Vec<dto::Object>)> {
        self.bucket(bucket).await?;
        let mut page = page(&mut self.keys(bucket).await?, wanted);
        let keys = std::mem::take(&mut page.keys);
        let contents = stream::iter(keys)
            .map(|(key, name)| async move {
                let newest = self.newest_of(self.head_here(&name).await?).await?;
                let Newest::There(version) = newest else {
                    return Ok::<_, S3Error>(None);
                };
                let file = self.is_file(&version).await?;
                Ok(file.then(|| object(wanted.say(&key), &version)))
            })
            .buffered(AT_A_TIME)
            .try_filter_map(async |object| Ok(object))
            .try_collect()
            .await?;
        Ok((page, contents))
    }
}

fn object(key: String, version: &Version) -> dto::Object {
    dto::Object {
        key: Some(key),
        size: Some(version.size() as i64),
        e_tag: Some(dto::ETag::Strong(version.etag())),
        last_modified: Some(timestamp(version.time())),
        storage_class: Some(dto::ObjectStorageClass::from_static(
            dto::ObjectStorageClass::STANDARD,
        )),
        ..dto::Object::default()
    }
}

/// Common prefixes as they are answered.
pub(super) fn prefixes(common: &[String], wanted: &Wanted) -> Option<Vec<dto::CommonPrefix>> {
    let prefixes = common.iter().map(|prefix| dto::CommonPrefix {
        prefix: Some(wanted.say(prefix)),
    });
    (!common.is_empty()).then(|| prefixes.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(keys: &[&str]) -> Vec<(String, Name)> {
        let named = keys
            .iter()
            .map(|key| ((*key).to_owned(), Name::new("a/b").unwrap()));
        named.collect()
    }

    fn wanted(delimiter: &str, after: Option<&str>, max: i32) -> Wanted {
        let after = after.map(str::to_owned);
        Wanted::new(None, Some(delimiter.to_owned()), after, Some(max), None).unwrap()
    }

    fn said(page: &Page) -> (Vec<&str>, Vec<&str>, Option<&str>) {
        let keys = page.keys.iter().map(|(key, _)| key.as_str());
        let common = page.common.iter().map(String::as_str);
        (keys.collect(), common.collect(), page.next.as_deref())
    }

    #[test]
    fn pages_meet_and_do_not_overlap() {
        let all = ["a", "b/1", "b/2", "b0", "c/1", "d"];
        let first = page(&mut &keys(&all)[..], &wanted("/", None, 2));
        assert_eq!(said(&first), (vec!["a"], vec!["b/"], Some("b/")));
        let second = page(&mut &keys(&all)[..], &wanted("/", Some("b/"), 2));
        assert_eq!(said(&second), (vec!["b0"], vec!["c/"], Some("c/")));
        let third = page(&mut &keys(&all)[..], &wanted("/", Some("c/"), 2));
        assert_eq!(said(&third), (vec!["d"], vec![], None));
        // A key in the middle of what a prefix stands for leaves the rest of it.
        let within = page(&mut &keys(&all)[..], &wanted("/", Some("b/1"), 1));
        assert_eq!(said(&within), (vec![], vec!["b/"], Some("b/")));
        let flat = page(&mut &keys(&all)[..], &wanted("", Some("b/1"), 3));
        assert_eq!(said(&flat), (vec!["b/2", "b0", "c/1"], vec![], Some("c/1")));
        assert_eq!(
            said(&page(&mut &keys(&all)[..], &wanted("/", None, 0))),
            (vec![], vec![], None)
        );
    }

    #[test]
    fn names_and_places_are_told_and_understood() {
        assert_eq!(encoded("a b+ü/\n%"), "a%20b%2B%C3%BC/%0A%25");
        assert_eq!(place(&token("a/ü\n")).unwrap(), "a/ü\n");
        for bad in ["!", "a", "_w"] {
            assert!(place(bad).is_err(), "{bad}");
        }
        let negative = Wanted::new(None, None, None, Some(-1), None);
        assert!(negative.is_err());
    }
}
