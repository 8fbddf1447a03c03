//! The disk store does what a map does.

use blocks::{Block, FjallOptions, FjallStore, MemoryStore, Store};
use guid::{Guid, Span};
use proptest::prelude::*;

use crate::support::block;

#[derive(Clone, Debug)]
enum Step {
    Put(u64),
    PutMany(Vec<u64>),
    Remove(u64),
    Get(u64),
    List(u128, u128, usize),
}

/// Few blocks, so that they meet again; every third one is large enough to be ingested.
fn sample(number: u64) -> Block {
    let length = match number % 3 {
        0 => (1 << 20) + number as usize,
        1 => 700 + number as usize,
        _ => number as usize,
    };
    block(number, length)
}

fn step() -> impl Strategy<Value = Step> {
    let number = 0u64..12;
    prop_oneof![
        number.clone().prop_map(Step::Put),
        proptest::collection::vec(number.clone(), 1..6).prop_map(Step::PutMany),
        number.clone().prop_map(Step::Remove),
        number.prop_map(Step::Get),
        (any::<u128>(), any::<u128>(), 1usize..8).prop_map(|(a, b, n)| Step::List(a, b, n)),
    ]
}

async fn same(disk: &FjallStore, model: &MemoryStore, step: Step) {
    match step {
        Step::Put(number) => assert_eq!(
            disk.put(sample(number)).await.unwrap(),
            model.put(sample(number)).await.unwrap()
        ),
        Step::PutMany(numbers) => {
            let blocks: Vec<Block> = numbers.into_iter().map(sample).collect();
            assert_eq!(
                disk.put_many(blocks.clone()).await.unwrap(),
                model.put_many(blocks).await.unwrap()
            );
        }
        Step::Remove(number) => {
            let cid = *sample(number).cid();
            assert_eq!(
                disk.remove(&cid).await.unwrap(),
                model.remove(&cid).await.unwrap()
            );
        }
        Step::Get(number) => {
            let cid = *sample(number).cid();
            assert_eq!(
                disk.get(&cid).await.unwrap(),
                model.get(&cid).await.unwrap()
            );
            assert_eq!(
                disk.has(&cid).await.unwrap(),
                model.has(&cid).await.unwrap()
            );
        }
        Step::List(from, to, limit) => {
            let span = Span::new(Guid::new(from), Guid::new(to));
            let mut after = None;
            loop {
                let page = disk.list(span, after, limit).await.unwrap();
                assert_eq!(page, model.list(span, after, limit).await.unwrap());
                if page.len() < limit {
                    break;
                }
                after = page.last().copied();
            }
        }
    }
    assert_eq!(disk.usage(), model.usage());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]
    #[test]
    fn the_disk_store_is_a_map(steps in proptest::collection::vec(step(), 1..24)) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let dir = tempfile::tempdir().unwrap();
            let disk = FjallStore::open(dir.path(), FjallOptions::default()).await.unwrap();
            let model = MemoryStore::new();
            for step in steps {
                same(&disk, &model, step).await;
            }
        });
    }
}
