//! dag-pb nodes: links, then data (rule U4).
//!
//! Source: the DAG-PB specification. Links are written before data although their field number is
//! higher; both orders are read, as other tools write the second for some profiles.

use bytes::Bytes;
use cid::Cid;
use prost::Message;

use crate::data::Data;
use crate::error::Malformed;
use crate::fetch::{DAG_PB, sha256_cid};

/// A link to another block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) cid: Cid,
    /// Empty in files.
    pub(crate) name: String,
    /// Bytes of all blocks below, counted once for each link that leads to them.
    pub(crate) tsize: u64,
}

/// A node: its links and its UnixFS message.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    pub(crate) links: Vec<Link>,
    pub(crate) data: Data,
}

/// A node as a block.
pub(crate) struct Block {
    pub(crate) cid: Cid,
    pub(crate) bytes: Bytes,
    /// Length of this block and, by its links' `tsize`, of all below it.
    pub(crate) tsize: u64,
}

#[derive(Clone, PartialEq, Message)]
struct PbLink {
    #[prost(bytes = "bytes", optional, tag = "1")]
    hash: Option<Bytes>,
    #[prost(string, optional, tag = "2")]
    name: Option<String>,
    #[prost(uint64, optional, tag = "3")]
    tsize: Option<u64>,
}

#[derive(Clone, PartialEq, Message)]
struct PbNode {
    #[prost(bytes = "bytes", optional, tag = "1")]
    data: Option<Bytes>,
    #[prost(message, repeated, tag = "2")]
    links: Vec<PbLink>,
}

impl From<&Link> for PbLink {
    fn from(link: &Link) -> Self {
        PbLink {
            hash: Some(link.cid.to_bytes().into()),
            name: Some(link.name.clone()),
            tsize: Some(link.tsize),
        }
    }
}

impl Node {
    /// The block, with its CID and total size. Links must be in order already.
    pub(crate) fn to_block(&self) -> Block {
        let links = PbNode {
            data: None,
            links: self.links.iter().map(PbLink::from).collect(),
        };
        let data = PbNode {
            data: Some(self.data.to_bytes()),
            links: Vec::new(),
        };
        let mut bytes = Vec::with_capacity(links.encoded_len() + data.encoded_len());
        // Two messages one after the other are one message with the fields of both: that puts the
        // links first, which an encoder that sorts by field number would not.
        links.encode_raw(&mut bytes);
        data.encode_raw(&mut bytes);
        let below: u64 = self
            .links
            .iter()
            .fold(0, |sum, link| sum.saturating_add(link.tsize));
        Block {
            cid: sha256_cid(DAG_PB, &bytes),
            tsize: below.saturating_add(bytes.len() as u64),
            bytes: bytes.into(),
        }
    }

    /// Reads a block that has been verified.
    pub(crate) fn from_bytes(bytes: Bytes) -> Result<Self, Malformed> {
        let node = PbNode::decode(bytes).map_err(|_| Malformed::NotDagPb)?;
        let data = Data::decode(node.data.ok_or(Malformed::NotUnixFs)?)
            .map_err(|_| Malformed::NotUnixFs)?;
        let links = node
            .links
            .into_iter()
            .map(|link| {
                let hash = link.hash.ok_or(Malformed::NotDagPb)?;
                Ok(Link {
                    cid: Cid::try_from(&hash[..]).map_err(|_| Malformed::NotDagPb)?,
                    name: link.name.unwrap_or_default(),
                    tsize: link.tsize.unwrap_or(0),
                })
            })
            .collect::<Result<_, _>>()?;
        Ok(Node { links, data })
    }
}

/// Bytes that a link adds to the block of a node.
pub(crate) fn link_len(link: &Link) -> usize {
    let inner = PbLink::from(link).encoded_len();
    1 + prost::length_delimiter_len(inner) + inner
}

/// Bytes that the UnixFS message adds to the block of a node.
pub(crate) fn data_len(data: &Data) -> usize {
    let inner = data.encoded_len();
    1 + prost::length_delimiter_len(inner) + inner
}
