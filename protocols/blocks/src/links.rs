//! What a block links to.

use cid::Cid;
use ipld_core::codec::Links;
use ipld_dagpb::DagPbCodec;
use serde_ipld_dagcbor::codec::DagCborCodec;

use crate::{DAG_CBOR, DAG_PB};

/// The links of a block in their order, as they are written in it; `None` of one that cannot
/// be read. A codec that is not known here has none.
pub fn links(cid: &Cid, bytes: &[u8]) -> Option<Vec<Cid>> {
    match cid.codec() {
        DAG_PB => DagPbCodec::links(bytes).ok().map(Iterator::collect),
        DAG_CBOR => DagCborCodec::links(bytes).ok().map(Iterator::collect),
        _ => Some(Vec::new()),
    }
}
