//! The signed record of one version (J6 to J10).
//!
//! A [`Record`] in memory is always genuine: both ways to make one, signing and decoding,
//! end in a checked signature, so nothing behind them asks again.

use std::fmt;

use bytes::Bytes;
use cid::Cid;
use guid::Guid;
use libp2p_identity::{KeyType, Keypair, PeerId, PublicKey};
use multihash_codetable::{Code, MultihashDigest};
use serde::{Deserialize, Serialize};
use serde_bytes::{ByteBuf, Bytes as SerdeBytes};

use crate::name::{MAX_NAME, Name};
use crate::record_error::{RecordError, SignError};

/// The format of a version that nothing more is said of.
pub const FORMAT: u64 = 1;

/// The format of a version with properties (J20).
pub const FORMAT_WITH_PROPERTIES: u64 = 2;

/// Largest encoded public key, in bytes: RSA of 8,192 bits in its protobuf.
pub const MAX_AUTHOR: usize = 1_100;

/// Largest signature, in bytes: that of an RSA key of 8,192 bits.
pub const MAX_SIGNATURE: usize = 1_024;

/// Heads of a fork that are kept (J11), and so records that one can follow (J8).
pub const MAX_HEADS: usize = 8;

/// Largest encoded record, in bytes: name, key, signature, ten CIDs of 41 bytes, and no
/// more than 538 bytes of names, numbers and lengths around them.
pub const MAX_RECORD: usize = MAX_NAME + MAX_AUTHOR + MAX_SIGNATURE + (MAX_HEADS + 2) * 41 + 538;

/// Highest number of a version: 2^40 - 1, one every millisecond for 34 years.
pub const MAX_SEQ: u64 = (1 << 40) - 1;

/// What precedes the encoding in the signed bytes (J7).
pub const SIGNING_DOMAIN: &[u8] = b"hedgerow/objects/version/1\0";

const RAW: u64 = 0x55;
const DAG_PB: u64 = 0x70;
const DAG_CBOR: u64 = 0x71;
const SHA2_256: u64 = 0x12;

/// One version of an object. Equal when the encodings are equal.
#[derive(Clone)]
pub struct Record {
    fields: Fields,
    aguid: Guid,
    author: PublicKey,
    encoded: Bytes,
    vguid: Cid,
}

/// What the owner says of a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fields {
    /// The object's name.
    pub name: Name,
    /// Which version, from 1.
    pub seq: u64,
    /// The records it follows, the one it was made from first.
    pub previous: Vec<Cid>,
    /// The content; none where the version is a removal.
    pub root: Option<Cid>,
    /// Bytes of content.
    pub size: u64,
    /// When it was made, Unix milliseconds by the author's clock.
    pub time: u64,
    /// A DAG-CBOR block that says more of this version (J20), if there is one.
    pub properties: Option<Cid>,
}

/// The fields that are signed. DAG-CBOR orders them by length of name, then by name.
#[derive(Serialize)]
struct Unsigned<'a> {
    v: u64,
    seq: u64,
    name: &'a str,
    root: Option<Cid>,
    size: u64,
    tier: (),
    time: u64,
    aguid: Guid,
    author: &'a SerdeBytes,
    cipher: (),
    writers: (),
    previous: &'a [Cid],
    #[serde(skip_serializing_if = "Option::is_none")]
    properties: Option<Cid>,
}

#[derive(Serialize)]
struct SignedRef<'a> {
    v: u64,
    seq: u64,
    name: &'a str,
    root: Option<Cid>,
    size: u64,
    tier: (),
    time: u64,
    aguid: Guid,
    author: &'a SerdeBytes,
    cipher: (),
    writers: (),
    previous: &'a [Cid],
    signature: &'a SerdeBytes,
    #[serde(skip_serializing_if = "Option::is_none")]
    properties: Option<Cid>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Signed {
    v: u64,
    seq: u64,
    name: String,
    root: Option<Cid>,
    size: u64,
    tier: Option<serde::de::IgnoredAny>,
    time: u64,
    aguid: Guid,
    author: ByteBuf,
    cipher: Option<serde::de::IgnoredAny>,
    writers: Option<serde::de::IgnoredAny>,
    previous: Vec<Cid>,
    signature: ByteBuf,
    #[serde(default)]
    properties: Option<Cid>,
}

impl Record {
    /// Signs a version.
    pub fn sign(keypair: &Keypair, fields: Fields) -> Result<Record, SignError> {
        check(&fields)?;
        let author = keypair.public();
        check_kind(&author)?;
        let key = author.encode_protobuf();
        let aguid = Guid::of_name(&key, fields.name.as_str());
        let unsigned = unsigned(&fields, aguid, &key);
        let signature = keypair.sign(&signed_bytes(&unsigned))?;
        let encoded: Bytes = encode(&unsigned.with(&signature)).into();
        Ok(Record {
            vguid: vguid_of(&encoded),
            fields,
            aguid,
            author,
            encoded,
        })
    }

    /// Reads a record and checks form (J6, J8, J10, J20), bounds and signature (J7).
    pub fn decode(bytes: &[u8]) -> Result<Record, RecordError> {
        if bytes.len() > MAX_RECORD {
            return Err(RecordError::TooLarge { size: bytes.len() });
        }
        let signed: Signed = serde_ipld_dagcbor::from_slice(bytes)
            .map_err(|error| RecordError::Malformed(error.to_string()))?;
        if signed.v != FORMAT && signed.v != FORMAT_WITH_PROPERTIES {
            return Err(RecordError::Newer("another format"));
        }
        if signed.v != format_of(signed.properties) {
            let text = "format 2 has properties, and format 1 has none";
            return Err(RecordError::Malformed(text.to_owned()));
        }
        for (field, absent) in [
            ("an ordering tier", signed.tier.is_none()),
            ("encrypted content", signed.cipher.is_none()),
            ("several writers", signed.writers.is_none()),
        ] {
            if !absent {
                return Err(RecordError::Newer(field));
            }
        }
        if signed.author.len() > MAX_AUTHOR {
            let size = signed.author.len();
            return Err(RecordError::AuthorTooLong { size });
        }
        if signed.signature.len() > MAX_SIGNATURE {
            let size = signed.signature.len();
            return Err(RecordError::SignatureTooLong { size });
        }
        let fields = Fields {
            name: Name::checked(&signed.name)?,
            seq: signed.seq,
            previous: signed.previous,
            root: signed.root,
            size: signed.size,
            time: signed.time,
            properties: signed.properties,
        };
        check(&fields)?;
        let unsigned = unsigned(&fields, signed.aguid, &signed.author);
        if encode(&unsigned.with(&signed.signature)) != bytes {
            return Err(RecordError::NotCanonical);
        }
        let author = PublicKey::try_decode_protobuf(&signed.author)
            .map_err(|error| RecordError::Author(error.to_string()))?;
        if author.encode_protobuf() != signed.author.as_slice() {
            return Err(RecordError::NotCanonical);
        }
        check_kind(&author)?;
        if Guid::of_name(&signed.author, fields.name.as_str()) != signed.aguid {
            return Err(RecordError::NotTheirs);
        }
        if !author.verify(&signed_bytes(&unsigned), &signed.signature) {
            return Err(RecordError::Forged);
        }
        Ok(Record {
            aguid: signed.aguid,
            author,
            encoded: Bytes::copy_from_slice(bytes),
            vguid: vguid_of(bytes),
            fields,
        })
    }

    /// What the owner says.
    pub fn fields(&self) -> &Fields {
        &self.fields
    }

    /// The object.
    pub fn aguid(&self) -> Guid {
        self.aguid
    }

    /// Its name in its owner's namespace.
    pub fn name(&self) -> &Name {
        &self.fields.name
    }

    /// Which version.
    pub fn seq(&self) -> u64 {
        self.fields.seq
    }

    /// The content; none in a removal.
    pub fn root(&self) -> Option<Cid> {
        self.fields.root
    }

    /// The block that says more of this version (J20).
    pub fn properties(&self) -> Option<Cid> {
        self.fields.properties
    }

    /// Whether it says that the object was removed (J9).
    pub fn is_removal(&self) -> bool {
        self.fields.root.is_none()
    }

    /// The key that owns the object and signed.
    pub fn author(&self) -> &PublicKey {
        &self.author
    }

    /// The author as a peer.
    pub fn author_peer(&self) -> PeerId {
        self.author.to_peer_id()
    }

    /// The CID of the record, which names the version.
    pub fn vguid(&self) -> Cid {
        self.vguid
    }

    /// SHA-256 of its encoding.
    pub(crate) fn hash(&self) -> &[u8] {
        self.vguid.hash().digest()
    }

    /// Its encoding: what travels, what is kept, and the block's bytes.
    pub fn encoded(&self) -> &Bytes {
        &self.encoded
    }
}

/// The CID that a record's encoding has as a block.
pub(crate) fn vguid_of(encoded: &[u8]) -> Cid {
    Cid::new_v1(DAG_CBOR, Code::Sha2_256.digest(encoded))
}

/// Whether a CID may be that of a record, or of properties.
pub fn is_vguid(cid: &Cid) -> bool {
    is_sha256(cid) && cid.codec() == DAG_CBOR
}

fn is_sha256(cid: &Cid) -> bool {
    cid.version() == cid::Version::V1 && cid.hash().code() == SHA2_256 && cid.hash().size() == 32
}

/// Of other kinds somebody without the key may make a second signature of a first, and with
/// it a fork.
fn check_kind(author: &PublicKey) -> Result<(), RecordError> {
    match author.key_type() {
        KeyType::Ed25519 => Ok(()),
        _ => Err(RecordError::Author(
            "only Ed25519 keys own names".to_owned(),
        )),
    }
}

fn check(fields: &Fields) -> Result<(), RecordError> {
    if !(1..=MAX_SEQ).contains(&fields.seq) {
        return Err(RecordError::Seq);
    }
    if (fields.seq == 1) != fields.previous.is_empty() {
        return Err(RecordError::Previous(
            "the first version follows none, all others do",
        ));
    }
    if fields.previous.len() > MAX_HEADS {
        return Err(RecordError::Previous("it follows too many"));
    }
    for (at, cid) in fields.previous.iter().enumerate() {
        if !is_vguid(cid) {
            return Err(RecordError::Cid("what it follows"));
        }
        if fields.previous[..at].contains(cid) {
            return Err(RecordError::Previous("it follows one twice"));
        }
    }
    if fields.properties.is_some_and(|cid| !is_vguid(&cid)) {
        return Err(RecordError::Cid("what its properties are"));
    }
    match fields.root {
        Some(root) if !(is_sha256(&root) && matches!(root.codec(), RAW | DAG_PB)) => {
            Err(RecordError::Cid("the root"))
        }
        None if fields.size != 0 => Err(RecordError::Malformed("a removal has no size".into())),
        _ => Ok(()),
    }
}

fn unsigned<'a>(fields: &'a Fields, aguid: Guid, author: &'a [u8]) -> Unsigned<'a> {
    Unsigned {
        v: format_of(fields.properties),
        seq: fields.seq,
        name: fields.name.as_str(),
        root: fields.root,
        size: fields.size,
        tier: (),
        time: fields.time,
        aguid,
        author: SerdeBytes::new(author),
        cipher: (),
        writers: (),
        previous: &fields.previous,
        properties: fields.properties,
    }
}

fn format_of(properties: Option<Cid>) -> u64 {
    match properties {
        None => FORMAT,
        Some(_) => FORMAT_WITH_PROPERTIES,
    }
}

impl<'a> Unsigned<'a> {
    fn with(&self, signature: &'a [u8]) -> SignedRef<'a> {
        SignedRef {
            v: self.v,
            seq: self.seq,
            name: self.name,
            root: self.root,
            size: self.size,
            tier: (),
            time: self.time,
            aguid: self.aguid,
            author: self.author,
            cipher: (),
            writers: (),
            previous: self.previous,
            signature: SerdeBytes::new(signature),
            properties: self.properties,
        }
    }
}

fn encode(value: &impl Serialize) -> Vec<u8> {
    serde_ipld_dagcbor::to_vec(value)
        .expect("a map of numbers, texts, byte strings and CIDs has a DAG-CBOR encoding")
}

fn signed_bytes(unsigned: &Unsigned<'_>) -> Vec<u8> {
    let mut bytes = SIGNING_DOMAIN.to_vec();
    bytes.extend_from_slice(&encode(unsigned));
    bytes
}

impl PartialEq for Record {
    fn eq(&self, other: &Record) -> bool {
        self.encoded == other.encoded
    }
}

impl Eq for Record {}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("aguid", &self.aguid)
            .field("vguid", &self.vguid.to_string())
            .field("fields", &self.fields)
            .finish()
    }
}
