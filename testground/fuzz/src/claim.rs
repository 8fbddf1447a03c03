//! Names of claims, and what is kept under them (CL1 to CL4).

use claims::{Claim, Item, ItemError, MAX_ITEM, RELEASE_LIFE};

/// A time, in Unix seconds.
const NOW: u64 = 2_000_000_000;

/// One name, or a name and an item.
///
/// # Panics
/// When one that is accepted exceeds a bound, has a second encoding, or is a release that does
/// not fit the name.
pub fn run(data: &[u8]) {
    if let Some(name) = Claim::from_bytes(data) {
        assert_eq!(&name.to_bytes()[..], data, "a claim has two names");
    }
    let Some((id, content)) = data.split_at_checked(Claim::LEN) else {
        return;
    };
    let Some(name) = Claim::from_bytes(id) else {
        return;
    };
    let item = match Item::decode(name, content) {
        Ok(item) => item,
        Err(error) => {
            assert!(!error.to_string().is_empty(), "refused without a reason");
            return;
        }
    };
    assert!(content.len() <= MAX_ITEM, "{} bytes", content.len());
    assert_eq!(&item.encode()[..], content, "an item has two encodings");
    assert_eq!(*item.name(), name, "an item of another name");
    let claim = Item::claim(name);
    let Some(release) = item.as_release() else {
        assert_eq!(item, claim, "a claim that is none");
        return;
    };
    assert_eq!(release.secret.tag(&name.block), name.tag, "forged");
    assert!(item.version() > claim.version(), "replaces no claim");
    match item.check_time(NOW) {
        Ok(()) => {}
        Err(ItemError::TooFarAhead { time, .. }) => assert!(time > NOW, "ahead of {time}"),
        Err(ItemError::Ended { time, .. }) => assert!(time + RELEASE_LIFE < NOW, "ended {time}"),
        Err(error) => panic!("refused for its time: {error}"),
    }
}
