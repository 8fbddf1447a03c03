use guid::{Base, Guid};
use proptest::prelude::*;

#[test]
fn only_these_widths_are_taken() {
    let widths: Vec<u32> = (0..=128)
        .filter(|bits| Base::new(*bits).is_some())
        .collect();
    assert_eq!(widths, [1, 2, 3, 4, 8]);
}

#[test]
fn digits_read_from_the_most_significant_end() {
    let guid: Guid = "0123456789abcdef0123456789abcdef".parse().unwrap();
    let digits: Vec<usize> = (0..16).map(|row| guid.digit(row, Base::B4)).collect();
    assert_eq!(digits, (0..16).collect::<Vec<_>>());
    assert_eq!(guid.digit(31, Base::B4), 0xf);
    assert_eq!(guid.digit(1, Base::new(8).unwrap()), 0x23);
    // 0x0123 is 000 000 010 010 001 1, and 0x...f ends in 42 whole digits and two bits.
    let octal: Vec<usize> = (0..5)
        .map(|row| guid.digit(row, Base::new(3).unwrap()))
        .collect();
    assert_eq!(octal, [0, 0, 2, 2, 1]);
    assert_eq!(guid.digit(42, Base::new(3).unwrap()), 0b11);
}

fn base() -> impl Strategy<Value = Base> {
    prop::sample::select(vec![1, 2, 3, 4, 8]).prop_map(|bits| Base::new(bits).expect("a width"))
}

proptest! {
    #[test]
    fn digits_make_up_the_identifier(value: u128, base in base()) {
        let guid = Guid::new(value);
        let rebuilt = (0..base.rows())
            .fold(0u128, |sum, row| {
                let bits = base.bits().min(128 - base.bits() * row as u32);
                (sum << bits) | guid.digit(row, base) as u128
            });
        prop_assert_eq!(rebuilt, value);
    }

    #[test]
    fn the_shared_prefix_ends_at_the_first_differing_digit(a: u128, bit in 0u32..128, base in base()) {
        let (one, other) = (Guid::new(a), Guid::new(a ^ (1 << bit)));
        let shared = one.shared_prefix(other, base);
        let expected = (0..base.rows())
            .take_while(|row| one.digit(*row, base) == other.digit(*row, base))
            .count();
        prop_assert_eq!(shared, expected);
        prop_assert_eq!(one.shared_prefix(one, base), base.rows());
    }
}
