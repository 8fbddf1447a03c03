//! What fragments and manifests are called, and where they belong (H7, H12).

use bytes::{BufMut, Bytes, BytesMut};
use cid::Cid;
use guid::Guid;
use sha2::{Digest, Sha256};

use crate::segment::Root;

/// Bytes of a fragment's name.
const FRAGMENT_NAME: usize = 32 + 16 + 1 + 4;

const BY_OBJECT: u8 = 1;
const BY_VERSION: u8 = 2;

/// The name of a fragment among the items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FragmentName {
    pub(crate) root: Root,
    pub(crate) series: Guid,
    pub(crate) index: u8,
    pub(crate) salt: u32,
}

impl FragmentName {
    pub(crate) fn encode(&self) -> Bytes {
        let mut name = BytesMut::with_capacity(FRAGMENT_NAME);
        name.put_slice(&self.root);
        name.put_slice(&self.series.to_bytes());
        name.put_u8(self.index);
        name.put_u32(self.salt);
        name.freeze()
    }

    pub(crate) fn decode(name: &[u8]) -> Option<FragmentName> {
        let name: &[u8; FRAGMENT_NAME] = name.try_into().ok()?;
        let (root, rest) = name.split_first_chunk::<32>()?;
        let (series, rest) = rest.split_first_chunk::<16>()?;
        let (index, salt) = rest.split_first()?;
        Some(FragmentName {
            root: *root,
            series: Guid::from_bytes(*series),
            index: *index,
            salt: u32::from_be_bytes(salt.try_into().ok()?),
        })
    }

    pub(crate) fn place(&self) -> Guid {
        column(self.series, self.index, self.salt)
    }
}

/// What all fragments of one archive have in common.
pub(crate) fn series(vguid: &Cid, made: u64) -> Guid {
    let made = made.to_be_bytes();
    hash(b"hedgerow series\0", &[&vguid.to_bytes(), &made])
}

/// Where the fragments of one index are.
pub(crate) fn column(series: Guid, index: u8, salt: u32) -> Guid {
    let parts: [&[u8]; 3] = [&series.to_bytes(), &[index], &salt.to_be_bytes()];
    hash(b"hedgerow fragment\0", &parts)
}

/// The name of a manifest among the items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ManifestName {
    /// For who knows the object.
    ByObject {
        aguid: Guid,
        seq: u64,
        version: [u8; 32],
    },
    /// For who knows the version.
    ByVersion([u8; 32]),
}

impl ManifestName {
    pub(crate) fn encode(&self) -> Bytes {
        let mut name = BytesMut::with_capacity(57);
        match self {
            ManifestName::ByObject {
                aguid,
                seq,
                version,
            } => {
                name.put_u8(BY_OBJECT);
                name.put_slice(&aguid.to_bytes());
                // So that the newest is listed first.
                name.put_u64(!seq);
                name.put_slice(version);
            }
            ManifestName::ByVersion(version) => {
                name.put_u8(BY_VERSION);
                name.put_slice(version);
            }
        }
        name.freeze()
    }

    pub(crate) fn decode(name: &[u8]) -> Option<ManifestName> {
        let (kind, rest) = name.split_first()?;
        match *kind {
            BY_OBJECT => {
                let (aguid, rest) = rest.split_first_chunk::<16>()?;
                let (seq, version) = rest.split_first_chunk::<8>()?;
                Some(ManifestName::ByObject {
                    aguid: Guid::from_bytes(*aguid),
                    seq: !u64::from_be_bytes(*seq),
                    version: version.try_into().ok()?,
                })
            }
            BY_VERSION => Some(ManifestName::ByVersion(rest.try_into().ok()?)),
            _ => None,
        }
    }

    pub(crate) fn place(&self) -> Guid {
        match self {
            ManifestName::ByObject { aguid, .. } => archives_of(*aguid),
            ManifestName::ByVersion(version) => hash(b"hedgerow archive\0", &[version]),
        }
    }
}

/// Where the manifests of an object are.
pub(crate) fn archives_of(aguid: Guid) -> Guid {
    hash(b"hedgerow archives\0", &[&aguid.to_bytes()])
}

/// The 32 bytes that tell a version from others.
pub(crate) fn version_of(vguid: &Cid) -> Option<[u8; 32]> {
    vguid.hash().digest().try_into().ok()
}

fn hash(domain: &[u8], parts: &[&[u8]]) -> Guid {
    let mut hash = Sha256::new().chain_update(domain);
    for part in parts {
        hash.update(part);
    }
    Guid::of_digest(&hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_were_written_and_nothing_else_is() {
        let name = FragmentName {
            root: [7; 32],
            series: Guid::new(9),
            index: 31,
            salt: 70_000,
        };
        assert_eq!(FragmentName::decode(&name.encode()), Some(name));
        assert_eq!(FragmentName::decode(&name.encode()[1..]), None);
        let object = ManifestName::ByObject {
            aguid: Guid::new(5),
            seq: 3,
            version: [1; 32],
        };
        let version = ManifestName::ByVersion([1; 32]);
        for name in [object, version] {
            assert_eq!(ManifestName::decode(&name.encode()), Some(name));
            assert_eq!(ManifestName::decode(&name.encode()[..32]), None);
        }
        assert_eq!(ManifestName::decode(&[]), None);
        assert_eq!(ManifestName::decode(&[3; 33]), None);
    }

    #[test]
    fn later_versions_are_listed_first() {
        let name = |seq| ManifestName::ByObject {
            aguid: Guid::new(5),
            seq,
            version: [1; 32],
        };
        assert!(name(10).encode() < name(9).encode());
        assert_eq!(name(10).place(), name(9).place());
    }
}
