//! Any m of n shards give the data back.

use archive::{CodeError, Coder, MAX_FRAGMENTS, MAX_NEEDED, Rate, SHARD};
use proptest::prelude::*;

use crate::support::noise;

/// Rates within bounds, the smallest and the largest among them.
fn rates() -> impl Strategy<Value = (usize, usize)> {
    prop_oneof![
        Just((1, 2)),
        Just((4, 9)),
        Just((16, 32)),
        Just((32, 64)),
        Just((32, 33)),
        Just((1, 64)),
        (1..=MAX_NEEDED).prop_flat_map(|m| (Just(m), m + 1..=MAX_FRAGMENTS)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_loss_up_to_n_less_m_is_made_good(
        (needed, fragments) in rates(),
        length in prop_oneof![1usize..200, 1usize..100_000],
        seed in any::<u64>(),
        order in Just((0..MAX_FRAGMENTS).collect::<Vec<_>>()).prop_shuffle(),
        spare in 0usize..3,
    ) {
        let rate = Rate::new(needed, fragments).unwrap();
        let data = noise(seed, length);
        let mut coder = Coder::new(rate);
        let shards = coder.encode(data.clone()).unwrap();
        prop_assert_eq!(shards.len(), fragments);
        prop_assert!(shards.iter().all(|shard| shard.len() == rate.shard_of(length)));
        let left = order.into_iter().filter(|index| *index < fragments).take(needed + spare);
        let left: Vec<_> = left.map(|index| (index, shards[index].clone())).collect();
        let decoded = coder.decode(&left).unwrap();
        prop_assert_eq!(&decoded[..length], &data[..]);
        prop_assert!(decoded[length..].iter().all(|byte| *byte == 0));
        // The same data gives the same shards, by whomever.
        prop_assert_eq!(Coder::new(rate).encode(data).unwrap(), shards);
    }

    #[test]
    fn one_too_few_is_an_error(
        (needed, fragments) in rates(),
        order in Just((0..MAX_FRAGMENTS).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let rate = Rate::new(needed, fragments).unwrap();
        let shards = Coder::new(rate).encode(noise(1, 1000)).unwrap();
        let left = order.into_iter().filter(|index| *index < fragments).take(needed - 1);
        let left: Vec<_> = left.map(|index| (index, shards[index].clone())).collect();
        let failed = matches!(Coder::new(rate).decode(&left), Err(CodeError::Shards(_)));
        prop_assert!(failed);
    }

    #[test]
    fn shards_of_anything_do_not_panic(
        (needed, fragments) in rates(),
        shards in proptest::collection::vec((0usize..80, proptest::collection::vec(any::<u8>(), 0..9)), 0..80),
    ) {
        let rate = Rate::new(needed, fragments).unwrap();
        let shards: Vec<_> = shards.into_iter().map(|(index, bytes)| (index, bytes.into())).collect();
        let _ = Coder::new(rate).decode(&shards);
    }
}

#[test]
fn full_segments_are_coded_one_after_the_other() {
    let rate = Rate::new(16, 32).unwrap();
    let mut coder = Coder::new(rate);
    for seed in 0..3 {
        let data = noise(seed, rate.capacity(SHARD));
        let shards = coder.encode(data.clone()).unwrap();
        let left: Vec<_> = (16..32)
            .map(|index| (index, shards[index].clone()))
            .collect();
        assert!(coder.decode(&left).unwrap() == data, "segment {seed}");
    }
}

#[test]
fn the_shards_are_those_of_the_library_whatever_the_length() {
    for length in [2, 500, 40_000, 65_537, 300_001, 2 * SHARD] {
        let data = noise(5, length);
        let shards = Coder::new(Rate::new(2, 5).unwrap())
            .encode(data.clone())
            .unwrap();
        let half = shards[0].len();
        let mut whole = data;
        whole.resize(2 * half, 0);
        let computed = reed_solomon_simd::encode(2, 3, whole.chunks(half)).unwrap();
        assert!(
            shards[2..]
                .iter()
                .zip(&computed)
                .all(|(a, b)| a[..] == b[..]),
            "{length}"
        );
    }
}

#[test]
fn rates_and_lengths_out_of_bounds_are_refused() {
    for (needed, fragments) in [(0, 2), (2, 2), (3, 2), (33, 64), (32, 65), (1, 1)] {
        assert_eq!(Rate::new(needed, fragments), None);
    }
    let rate = Rate::new(2, 4).unwrap();
    let mut coder = Coder::new(rate);
    for length in [0, rate.capacity(SHARD) + 1] {
        let refused = coder.encode(vec![0; length]);
        assert!(matches!(refused, Err(CodeError::Length { got, .. }) if got == length));
    }
}
