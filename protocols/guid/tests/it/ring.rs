use std::cmp::Ordering;

use guid::Guid;
use proptest::prelude::*;

#[test]
fn the_ring_closes_at_zero() {
    let (first, last) = (Guid::new(0), Guid::new(u128::MAX));
    assert_eq!(first.distance(last), 1);
    assert_eq!(last.clockwise_to(first), 1);
    assert_eq!(first.clockwise_to(last), u128::MAX);
}

#[test]
fn of_two_equally_close_the_smaller_one_wins() {
    let key = Guid::new(0);
    assert_eq!(
        key.cmp_distance(Guid::new(5), Guid::new(5u128.wrapping_neg())),
        Ordering::Less
    );
}

proptest! {
    #[test]
    fn distance_is_symmetric_and_at_most_half_the_ring(a: u128, b: u128) {
        let (a, b) = (Guid::new(a), Guid::new(b));
        prop_assert_eq!(a.distance(b), b.distance(a));
        prop_assert!(a.distance(b) <= 1 << 127);
        prop_assert_eq!(a.distance(b) == 0, a == b);
    }

    #[test]
    fn closeness_is_a_total_order(key: u128, a: u128, b: u128) {
        let (key, a, b) = (Guid::new(key), Guid::new(a), Guid::new(b));
        prop_assert_eq!(key.cmp_distance(a, b), key.cmp_distance(b, a).reverse());
        prop_assert_eq!(key.cmp_distance(a, b) == Ordering::Equal, a == b);
    }
}
