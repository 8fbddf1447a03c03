//! What goes in comes out, whatever its length and the shape of the tree.

use proptest::prelude::*;
use unixfs::{MemoryBlocks, Options};

use crate::support::read;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_bytes(
        content in proptest::collection::vec(any::<u8>(), 0..5000),
        chunk_size in 1usize..200,
        max_links in 2usize..9,
        concurrency in 1usize..20,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let blocks = MemoryBlocks::default();
            let options = Options { chunking: unixfs::Chunking::Size(chunk_size), max_links, concurrency };
            let imported = unixfs::import_reader(&content[..], &blocks, &options).await.unwrap();
            prop_assert_eq!(imported.size, content.len() as u64);
            prop_assert_eq!(read(&imported.cid, &blocks).await.unwrap(), content.clone());
            let stat = unixfs::stat(&imported.cid, &blocks).await.unwrap();
            prop_assert_eq!(stat.size, content.len() as u64);
            // One and the same, however much is in flight.
            let again = Options { concurrency: 1, ..options };
            let second = unixfs::import_reader(&content[..], &blocks, &again).await.unwrap();
            prop_assert_eq!(second, imported);
            Ok(())
        })?;
    }
}
