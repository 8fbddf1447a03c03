//! The keys of a bucket in the order of their bytes, read no further than they are asked for (K11).

use std::{collections::HashMap, sync::Arc};

use objects::{Listing, Name};
use parking_lot::Mutex;

use super::names::key_of;

/// Keys in the order of their bytes.
pub(super) trait Keys {
    /// The first one that is not before `start`. Asked again only for what is not before the last.
    fn first_from(&mut self, start: &str) -> Option<(String, Name)>;
}

/// Keys that were read, in order.
impl Keys for &[(String, Name)] {
    fn first_from(&mut self, start: &str) -> Option<(String, Name)> {
        let at = self.partition_point(|(key, _)| key.as_str() < start);
        self.get(at).cloned()
    }
}

/// The first text in order that is behind all that begin with `prefix`; none where all others
/// are before it.
pub(super) fn behind(prefix: &str) -> Option<String> {
    let mut text = prefix.to_owned();
    while let Some(last) = text.pop() {
        if let Some(next) = (last..=char::MAX).nth(1) {
            text.push(next);
            return Some(text);
        }
    }
    None
}

/// The keys of one bucket in a list of names. Names without an escape (K2) are in the order of
/// their keys, so the list is entered where the first wanted one is. The few others are not: they
/// are sorted beside it, once for each list.
pub(super) struct BucketKeys {
    listing: Listing,
    /// What the names begin with.
    within: String,
    escaped: Arc<Vec<(String, Name)>>,
    /// The plain one that was found last, or that there is none from there on.
    plain: Option<Option<(String, Name)>>,
}

impl Keys for BucketKeys {
    fn first_from(&mut self, start: &str) -> Option<(String, Name)> {
        let found_before = self.plain.take().filter(|found| match found {
            Some((key, _)) => key.as_str() >= start,
            None => true,
        });
        let plain = found_before.unwrap_or_else(|| self.first_plain(start));
        self.plain = Some(plain.clone());
        let escaped = (&self.escaped[..]).first_from(start);
        match (plain, escaped) {
            (Some(plain), Some(escaped)) if escaped.0 < plain.0 => Some(escaped),
            (Some(plain), _) => Some(plain),
            (None, escaped) => escaped,
        }
    }
}

impl BucketKeys {
    fn first_plain(&self, start: &str) -> Option<(String, Name)> {
        self.listing
            .range(&format!("{}{start}", self.within))
            .take_while(|name| name.starts_with(&self.within))
            .filter(|name| !may_be_escaped(name))
            .find_map(key_and_name)
    }
}

/// Whether the order of a name may be another one than that of its key.
fn may_be_escaped(name: &str) -> bool {
    name.contains('%')
}

pub(super) fn key_and_name(name: &str) -> Option<(String, Name)> {
    let (_, key) = key_of(name)?;
    Some((key, Name::new(name).ok()?))
}

/// The keys with an escape in their names, of the buckets that are there and were asked for since
/// the list of names is as it is: fewer than the list has.
#[derive(Default)]
pub(super) struct Escaped(Mutex<Option<OfListing>>);

struct OfListing {
    listing: Listing,
    buckets: HashMap<String, Arc<Vec<(String, Name)>>>,
}

impl Escaped {
    pub(super) fn keys(&self, listing: Listing, bucket: &str) -> BucketKeys {
        let within = format!("{bucket}/");
        let mut known = self.0.lock();
        let of_listing = match &mut *known {
            Some(known) if known.listing.is(&listing) => known,
            known => known.insert(OfListing {
                listing: listing.clone(),
                buckets: HashMap::new(),
            }),
        };
        let escaped = match of_listing.buckets.get(bucket) {
            Some(escaped) => Arc::clone(escaped),
            None => {
                let names = listing.range(&within);
                let names = names.take_while(|name| name.starts_with(&within));
                let escaped = names.filter(|name| may_be_escaped(name));
                let mut escaped: Vec<_> = escaped.filter_map(key_and_name).collect();
                escaped.sort_unstable_by(|a, b| a.0.cmp(&b.0));
                let escaped = Arc::new(escaped);
                let bucket = bucket.to_owned();
                of_listing.buckets.insert(bucket, Arc::clone(&escaped));
                escaped
            }
        };
        BucketKeys {
            listing,
            within,
            escaped,
            plain: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::{
        super::{
            list::{Page, Wanted, page},
            names::name_of,
        },
        *,
    };

    #[test]
    fn what_is_behind_a_prefix() {
        assert_eq!(behind("a/").as_deref(), Some("a0"));
        assert_eq!(behind("\u{d7ff}").as_deref(), Some("\u{e000}"));
        assert_eq!(behind("a\u{10ffff}\u{10ffff}").as_deref(), Some("b"));
        assert_eq!(behind("\u{10ffff}"), None);
        assert_eq!(behind(""), None);
    }

    /// What is wanted of all keys, one after the other.
    fn of_all(
        keys: &BTreeSet<String>,
        wanted: &Wanted,
    ) -> (Vec<String>, Vec<String>, Option<String>) {
        let (mut found, mut prefixes, mut last) = (Vec::new(), Vec::<String>::new(), None);
        for key in keys.iter().filter(|key| key.starts_with(&wanted.prefix)) {
            let common = wanted.common(key);
            let is_behind = wanted
                .after
                .as_deref()
                .is_none_or(|after| key.as_str() > after && common != Some(after));
            if !is_behind || common.is_some() && common == prefixes.last().map(String::as_str) {
                continue;
            }
            if found.len() + prefixes.len() == wanted.max {
                return (found, prefixes, last);
            }
            match common {
                Some(common) => prefixes.push(common.to_owned()),
                None => found.push(key.clone()),
            }
            last = Some(common.unwrap_or(key).to_owned());
        }
        (found, prefixes, None)
    }

    fn said(page: Page) -> (Vec<String>, Vec<String>, Option<String>) {
        let keys = page.keys.into_iter().map(|(key, _)| key);
        (keys.collect(), page.common, page.next)
    }

    proptest! {
        #[test]
        fn pages_are_those_of_all_keys_one_after_the_other(
            keys in prop::collection::btree_set("[ab%/.@0F\t~-]{1,5}|[a/e\u{301}\u{10ffff}]{1,4}", 0..60),
            others in prop::collection::btree_set("(photo|photos0|photos-x|dogs|photos/%FF|photos/a%41)(/[a%]{1,3})?", 0..12),
            prefix in prop_oneof![3 => Just(String::new()), 2 => "[ab/%.]{1,2}"],
            delimiter in prop::option::of(prop_oneof![3 => Just("/".to_owned()), 1 => "[ab%.]{1,2}"]),
            after in prop::option::of("[ab%/.~-]{1,4}"),
            max in 0i32..9,
        ) {
            let mut names: Vec<String> = others.into_iter().filter(|name| Name::new(name).is_ok()).collect();
            let mut known = BTreeSet::new();
            for key in keys {
                if let Ok(name) = name_of("photos", &key) {
                    names.push(name.as_str().to_owned());
                    known.insert(key);
                }
            }
            let listing: Listing = names.iter().map(String::as_str).collect();
            let escaped = Escaped::default();
            let mut wanted = Wanted::new(Some(prefix), delimiter, after, Some(max), None).unwrap();
            for pages in 0.. {
                // Each shows one or more, but where none is wanted.
                prop_assert!(pages <= known.len());
                let page = page(&mut escaped.keys(listing.clone(), "photos"), &wanted);
                let page = said(page);
                prop_assert_eq!(&page, &of_all(&known, &wanted));
                let Some(next) = page.2 else { break };
                wanted.after = Some(next);
            }
        }
    }

    /// Of many keys an answer takes only those it shows.
    #[test]
    fn what_is_not_shown_is_not_looked_at() {
        struct Counted<'a>(&'a mut BucketKeys, usize);
        impl Keys for Counted<'_> {
            fn first_from(&mut self, start: &str) -> Option<(String, Name)> {
                self.1 += 1;
                self.0.first_from(start)
            }
        }
        let names: Vec<String> = (0..10_000)
            .map(|number| format!("photos/{}/{number:05}", number / 1_000))
            .collect();
        let listing: Listing = names.iter().map(String::as_str).collect();
        let escaped = Escaped::default();
        for (delimiter, after, max, asked) in [
            (Some("/"), None, 1_000, 11),
            (None, Some("7/07500"), 5, 6),
            (Some("/"), Some("7/"), 1, 2),
        ] {
            let wanted = Wanted::new(
                None,
                delimiter.map(str::to_owned),
                after.map(str::to_owned),
                Some(max),
                None,
            );
            let mut keys = escaped.keys(listing.clone(), "photos");
            let mut counted = Counted(&mut keys, 0);
            page(&mut counted, &wanted.unwrap());
            assert_eq!(counted.1, asked);
        }
    }
}
