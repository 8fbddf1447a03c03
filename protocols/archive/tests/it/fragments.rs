//! A fragment proves itself, and nothing else passes for it.

use archive::{Fragment, FragmentError, MAX_FRAGMENT, SHARD};
use bytes::Bytes;
use proptest::prelude::*;

use crate::support::{noise, segment};

#[test]
fn every_fragment_proves_itself_and_no_other() {
    for (needed, fragments) in [(1, 2), (1, 3), (4, 9), (16, 32), (32, 64)] {
        let coded = segment(needed, fragments, noise(7, 5000));
        for index in 0..fragments {
            let bytes = coded.fragment(index);
            let fragment = Fragment::verify(&coded.root(), index, &bytes).unwrap();
            assert_eq!(fragment.index, index);
            assert_eq!(fragment.rate.needed(), needed);
            if needed == 1 {
                // All shards are the same: each is what it is said to be.
                continue;
            }
            // Under another's index it is refused, also where both are changed to agree.
            let other = (index + 1) % fragments;
            assert!(Fragment::verify(&coded.root(), other, &bytes).is_err());
            let mut moved = bytes.to_vec();
            moved[3] = other as u8;
            assert!(Fragment::verify(&coded.root(), other, &moved.into()).is_err());
        }
    }
}

#[test]
fn the_largest_fragment_has_as_many_bytes_as_are_allowed() {
    let coded = segment(32, 64, noise(1, 32 * SHARD));
    assert_eq!(coded.fragment(63).len(), MAX_FRAGMENT);
}

#[test]
fn a_fragment_of_another_segment_or_format_is_refused() {
    let (one, other) = (segment(2, 4, noise(1, 999)), segment(2, 4, noise(2, 999)));
    let refused = Fragment::verify(&one.root(), 0, &other.fragment(0));
    assert_eq!(refused, Err(FragmentError::Mismatch));
    let mut newer = one.fragment(0).to_vec();
    newer[0] = 2;
    let refused = Fragment::verify(&one.root(), 0, &newer.into());
    assert_eq!(refused, Err(FragmentError::Format(2)));
    // The same shards under another rate are another segment.
    assert_ne!(one.root(), segment(1, 4, noise(1, 999)).root());
}

proptest! {
    #[test]
    fn a_forged_or_cut_fragment_is_refused(
        rate in prop_oneof![Just((1, 2)), Just((4, 9)), Just((16, 32))],
        length in 1usize..3000,
        at in any::<prop::sample::Index>(),
        flip in 1u8..,
        cut in any::<prop::sample::Index>(),
    ) {
        let coded = segment(rate.0, rate.1, noise(3, length));
        let index = at.index(rate.1);
        let bytes = coded.fragment(index);
        let mut forged = bytes.to_vec();
        let place = at.index(forged.len());
        forged[place] ^= flip;
        prop_assert!(Fragment::verify(&coded.root(), index, &forged.into()).is_err());
        let short = bytes.slice(..cut.index(bytes.len()));
        prop_assert!(Fragment::verify(&coded.root(), index, &short).is_err());
        let long: Bytes = [&bytes[..], &[0, 0]].concat().into();
        prop_assert!(Fragment::verify(&coded.root(), index, &long).is_err());
    }

    #[test]
    fn anything_at_all_is_refused_without_a_panic(
        root in any::<[u8; 32]>(),
        index in 0usize..300,
        head in prop_oneof![Just(vec![]), Just(vec![1, 4, 9, 0]), Just(vec![1, 32, 64, 63, 0, 4, 0, 0])],
        rest in proptest::collection::vec(any::<u8>(), 0..400),
    ) {
        let bytes: Bytes = [head, rest].concat().into();
        prop_assert!(Fragment::verify(&root, index, &bytes).is_err());
    }
}
