//! What a person types to name a version of an object (J3, J4).

use std::fmt;

use cid::Cid;
use guid::Guid;
use libp2p_identity::{PeerId, PublicKey};

use crate::name::{Name, NameError, is_version, looks_like_cid};

/// Longest alias of a key, in bytes (J18).
pub const MAX_ALIAS: usize = 64;

/// Whose namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// This node's.
    Me,
    /// That of the key in a PeerId.
    Peer(PeerId),
    /// That of the key that this node calls so.
    Alias(String),
}

/// Which object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A name in a namespace.
    Name(Owner, Name),
    /// The lasting name itself.
    Aguid(Guid),
}

/// Which of its versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// The newest.
    Newest,
    /// The one with this number.
    Number(u64),
    /// The one whose record has this CID.
    Vguid(Cid),
}

/// An object, and a version of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// Which object.
    pub target: Target,
    /// Which of its versions.
    pub version: Version,
}

/// A reference to an object, or a CID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Spoken {
    /// Content by its CID.
    Content(Cid),
    /// A version of an object.
    Object(Reference),
}

/// Why a text refers to nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// The name in it is none.
    #[error(transparent)]
    Name(#[from] NameError),
    /// It claims to be a CID, or looks like one with a slip.
    #[error("{0:?} is not a CID")]
    Cid(String),
    /// What follows `hedgerow:` is no GUID.
    #[error("{0:?} is not an AGUID: 32 hexadecimal digits follow `hedgerow:`")]
    Aguid(String),
    /// What precedes the colon is no owner.
    #[error(
        "{0:?} is neither a PeerId nor an alias; a name whose first part has a colon is written me:NAME"
    )]
    Owner(String),
    /// A PeerId that is only the hash of a key.
    #[error("the PeerId {0} does not hold its key (only Ed25519 keys are short enough)")]
    NoKey(PeerId),
}

impl Spoken {
    /// Reads `CID`, `/ipfs/CID`, `ipfs://CID` or a [`Reference`].
    pub fn parse(text: &str) -> Result<Spoken, ReferenceError> {
        let claimed = text
            .strip_prefix("/ipfs/")
            .or_else(|| text.strip_prefix("ipfs://"));
        let word = claimed.unwrap_or(text).trim_end_matches('/');
        match word.parse::<Cid>() {
            Ok(cid) => Ok(Spoken::Content(cid)),
            Err(_) if claimed.is_some() || looks_like_cid(word) => {
                Err(ReferenceError::Cid(word.to_owned()))
            }
            Err(_) => Reference::parse(text).map(Spoken::Object),
        }
    }
}

impl Reference {
    /// Reads `NAME`, `OWNER:NAME` or `hedgerow:AGUID`, with or without a version. An owner
    /// without a name means the namespace.
    pub fn parse(text: &str) -> Result<Reference, ReferenceError> {
        let (object, version) = match text.rsplit_once('@') {
            Some((object, suffix)) if is_version(suffix) => (object, read_version(suffix)),
            _ => (text, Version::Newest),
        };
        let Some((owner, rest)) = split_owner(object) else {
            let target = Target::Name(Owner::Me, Name::new(object)?);
            return Ok(Reference { target, version });
        };
        if owner == "hedgerow" {
            let aguid = rest.parse();
            let aguid = aguid.map_err(|_| ReferenceError::Aguid(rest.to_owned()))?;
            let target = Target::Aguid(aguid);
            return Ok(Reference { target, version });
        }
        let name = match rest {
            "" => Name::namespace(),
            rest => Name::new(rest)?,
        };
        let target = Target::Name(Owner::parse(owner)?, name);
        Ok(Reference { target, version })
    }
}

fn read_version(suffix: &str) -> Version {
    let cid = suffix.parse().ok().map(Version::Vguid);
    let digits = suffix.strip_prefix('v').unwrap_or_default();
    // A number beyond all numbers is of no version.
    cid.unwrap_or_else(|| Version::Number(digits.parse().unwrap_or(u64::MAX)))
}

impl Owner {
    /// Tells the owner from what is behind it; without one, it is this node.
    pub fn split(text: &str) -> Result<(Owner, &str), ReferenceError> {
        match split_owner(text) {
            Some((owner, rest)) => Ok((Owner::parse(owner)?, rest)),
            None => Ok((Owner::Me, text)),
        }
    }

    /// Reads `me`, a PeerId, or what may be an alias.
    pub fn parse(text: &str) -> Result<Owner, ReferenceError> {
        if text == "me" {
            return Ok(Owner::Me);
        }
        if let Ok(peer) = text.parse() {
            return Ok(Owner::Peer(peer));
        }
        match is_alias(text) {
            true => Ok(Owner::Alias(text.to_owned())),
            false => Err(ReferenceError::Owner(text.to_owned())),
        }
    }
}

/// What stands before the first colon and behind it, where that is in the first part.
fn split_owner(text: &str) -> Option<(&str, &str)> {
    let first_part = text.split('/').next().unwrap_or_default();
    let (owner, _) = first_part.split_once(':')?;
    Some((owner, &text[owner.len() + 1..]))
}

/// Whether a text may be an alias of a key (J18).
pub fn is_alias(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    !text.is_empty()
        && text.len() <= MAX_ALIAS
        && text.bytes().all(plain)
        && !matches!(text, "me" | "hedgerow" | "ipfs")
        && text.parse::<PeerId>().is_err()
}

/// The public key that a PeerId holds.
pub fn key_of_peer(peer: &PeerId) -> Result<PublicKey, ReferenceError> {
    let hash = peer.as_ref();
    // Code 0: the digest is the key itself.
    let key = (hash.code() == 0).then(|| PublicKey::try_decode_protobuf(hash.digest()).ok());
    key.flatten().ok_or(ReferenceError::NoKey(*peer))
}

/// The lasting name of an object (J1).
pub fn aguid(owner: &PublicKey, name: &Name) -> Guid {
    Guid::of_name(&owner.encode_protobuf(), name.as_str())
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Version::Newest => f.write_str("the newest version"),
            Version::Number(number) => write!(f, "version {number}"),
            Version::Vguid(cid) => write!(f, "version {cid}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(owner: Owner, name: &str, version: Version) -> Spoken {
        let name = match name {
            "" => Name::namespace(),
            name => Name::new(name).unwrap(),
        };
        Spoken::Object(Reference {
            target: Target::Name(owner, name),
            version,
        })
    }

    #[test]
    fn references() {
        let cid = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku";
        let content = Spoken::Content(cid.parse().unwrap());
        for text in [
            cid.to_owned(),
            format!("/ipfs/{cid}"),
            format!("ipfs://{cid}/"),
        ] {
            assert_eq!(Spoken::parse(&text), Ok(content.clone()));
        }
        let peer = "12D3KooWCLzdjoV5uLukiWiFqwVfDiwMBF5cCRMSsJDQgjSzTLVF";
        let guid = "0123456789abcdef0123456789abcdef";
        let vguid = Version::Vguid(cid.parse().unwrap());
        let me = Owner::Me;
        for (text, wanted) in [
            (
                "photos/cat.jpg".to_owned(),
                named(me.clone(), "photos/cat.jpg", Version::Newest),
            ),
            (
                "cat@v3".to_owned(),
                named(me.clone(), "cat", Version::Number(3)),
            ),
            (format!("cat@{cid}"), named(me.clone(), "cat", vguid)),
            (
                "me:a:b".to_owned(),
                named(me.clone(), "a:b", Version::Newest),
            ),
            ("a/b:c".to_owned(), named(me, "a/b:c", Version::Newest)),
            (
                "bob:cat@v1".to_owned(),
                named(Owner::Alias("bob".into()), "cat", Version::Number(1)),
            ),
            (
                "bob:".to_owned(),
                named(Owner::Alias("bob".into()), "", Version::Newest),
            ),
            (
                format!("{peer}:x"),
                named(Owner::Peer(peer.parse().unwrap()), "x", Version::Newest),
            ),
            (
                format!("hedgerow:{guid}@v2"),
                Spoken::Object(Reference {
                    target: Target::Aguid(guid.parse().unwrap()),
                    version: Version::Number(2),
                }),
            ),
        ] {
            assert_eq!(Spoken::parse(&text), Ok(wanted), "{text}");
        }
        for text in [
            "bafnonsense",
            "/ipfs/x",
            "",
            "a//b",
            "hedgerow:xyz",
            "b b:x",
            "a/../b",
        ] {
            assert!(Spoken::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn keys_of_peers() {
        let key = libp2p_identity::Keypair::ed25519_from_bytes([7; 32]).unwrap();
        let peer = key.public().to_peer_id();
        assert_eq!(key_of_peer(&peer), Ok(key.public()));
    }
}
