//! What a block links to.

use blocks::{DAG_CBOR, DAG_PB};
use cid::Cid;
use ipld_core::codec::Links;
use ipld_dagpb::DagPbCodec;
use serde_ipld_dagcbor::codec::DagCborCodec;

/// The links of a block in their order; none of one that cannot be read.
pub(crate) fn of(cid: &Cid, bytes: &[u8]) -> Vec<Cid> {
    match cid.codec() {
        DAG_PB => DagPbCodec::links(bytes).map_or_else(|_| Vec::new(), Iterator::collect),
        DAG_CBOR => DagCborCodec::links(bytes).map_or_else(|_| Vec::new(), Iterator::collect),
        _ => Vec::new(),
    }
}
