//! The UnixFS message inside a dag-pb node.
//!
//! Source: the UnixFS specification, section "Data". Fields 7 (mode) and 8 (mtime) are neither
//! written nor read: the profile leaves them out.

use std::fmt;

use bytes::Bytes;
use prost::Message;

/// What a CID names, to a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Bytes.
    File,
    /// Names and what they stand for, in one block or as a HAMT.
    Directory,
    /// A path to somewhere else.
    Symlink,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::File => "file",
            Kind::Directory => "directory",
            Kind::Symlink => "symlink",
        })
    }
}

/// Type of a node, field 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
pub(crate) enum DataType {
    Raw = 0,
    Directory = 1,
    File = 2,
    Metadata = 3,
    Symlink = 4,
    HamtShard = 5,
}

/// The message. proto2: absent and default are different, and lists are not packed.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Data {
    #[prost(enumeration = "DataType", required, tag = "1")]
    pub(crate) kind: i32,
    #[prost(bytes = "bytes", optional, tag = "2")]
    pub(crate) data: Option<Bytes>,
    #[prost(uint64, optional, tag = "3")]
    pub(crate) filesize: Option<u64>,
    #[prost(uint64, repeated, packed = "false", tag = "4")]
    pub(crate) blocksizes: Vec<u64>,
    #[prost(uint64, optional, tag = "5")]
    pub(crate) hash_type: Option<u64>,
    #[prost(uint64, optional, tag = "6")]
    pub(crate) fanout: Option<u64>,
}

impl Data {
    pub(crate) fn new(kind: DataType) -> Self {
        Data {
            kind: kind as i32,
            ..Data::default()
        }
    }

    pub(crate) fn data_type(&self) -> Option<DataType> {
        DataType::try_from(self.kind).ok()
    }

    /// Length of the content inside this node itself.
    pub(crate) fn inline_len(&self) -> u64 {
        self.data.as_ref().map_or(0, |data| data.len() as u64)
    }

    pub(crate) fn to_bytes(&self) -> Bytes {
        self.encode_to_vec().into()
    }
}
