use guid::{Guid, Span};
use proptest::prelude::*;

#[test]
fn an_arc_may_pass_through_zero() {
    let span = Span::new(Guid::new(u128::MAX - 1), Guid::new(1));
    assert!(span.contains(Guid::new(u128::MAX)) && span.contains(Guid::new(0)));
    assert!(!span.contains(Guid::new(2)));
}

#[test]
fn the_whole_ring_contains_and_splits_like_any_arc() {
    assert!(Span::full().contains(Guid::new(u128::MAX)));
    assert_eq!(Span::full().split(1), [Span::full()]);
    let parts = Span::full().split(16);
    assert_eq!(parts.len(), 16);
    assert_eq!(parts[1].from, Guid::new(1 << 124));
    assert_eq!(parts[15].to, Guid::new(u128::MAX));
}

proptest! {
    #[test]
    fn parts_are_disjoint_nearly_equal_and_cover_the_arc(from: u128, length in any::<u128>(), small in 0u128..40, tiny: bool, parts in 1usize..40) {
        let last = if tiny { small } else { length };
        let span = Span::new(Guid::new(from), Guid::new(from.wrapping_add(last)));
        let cut = span.split(parts);
        prop_assert!(cut.len() <= parts);
        prop_assert_eq!(cut[0].from, span.from);
        prop_assert_eq!(cut[cut.len() - 1].to, span.to);
        for pair in cut.windows(2) {
            prop_assert_eq!(pair[0].to.clockwise_to(pair[1].from), 1);
        }
        let lengths = cut.iter().map(Span::last_offset);
        let (short, long) = (lengths.clone().min().unwrap(), lengths.max().unwrap());
        prop_assert!(long - short <= 1);
    }
}
