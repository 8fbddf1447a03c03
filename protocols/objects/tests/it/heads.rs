//! Heads: whatever the order in which records come, all end with the same.

use objects::{Heads, MAX_HEADS, Record, RecordError};
use proptest::prelude::*;

use crate::support::{keypair, version};

/// Records of one object: numbers 1 to 3, ten branches of each.
fn records() -> Vec<Record> {
    let branches = |before: &[&Record]| -> Vec<Record> {
        (0..10).map(|at| version(&at.to_string(), before)).collect()
    };
    let first = branches(&[]);
    let second = branches(&[&first[0]]);
    let third = branches(&[&second[0]]);
    [first, second, third].concat()
}

fn join(records: &[&Record]) -> Option<Heads> {
    let heads = records.iter().map(|record| Heads::of((*record).clone()));
    heads.reduce(Heads::join)
}

#[test]
fn heads_are_read_as_they_were_written() {
    let records = records();
    let heads = join(&[&records[0], &records[1]]).unwrap();
    let bytes = heads.encode();
    assert_eq!(Heads::decode(heads.aguid(), &bytes), Ok(heads.clone()));
    let other = guid::Guid::of_name(&keypair(1).public().encode_protobuf(), "dog");
    assert_eq!(Heads::decode(other, &bytes), Err(RecordError::OtherObject));
    // In another order, one twice, of two numbers, none, and more than there may be.
    let list = |records: &[&Record]| {
        let records = records
            .iter()
            .map(|record| serde_bytes::Bytes::new(record.encoded()));
        serde_ipld_dagcbor::to_vec(&records.collect::<Vec<_>>()).unwrap()
    };
    let [a, b] = [&heads.records()[0], &heads.records()[1]];
    for wrong in [
        list(&[b, a]),
        list(&[a, a]),
        list(&[a, &records[10]]),
        list(&[]),
        list(&records[..9].iter().collect::<Vec<_>>()),
    ] {
        assert!(Heads::decode(heads.aguid(), &wrong).is_err());
    }
}

proptest! {
    #[test]
    fn a_join_does_not_depend_on_order_and_never_goes_back(
        some in prop::collection::vec(0usize..30, 1..14),
        at in 0usize..14,
    ) {
        let records = records();
        let some: Vec<&Record> = some.into_iter().map(|at| &records[at]).collect();
        let whole = join(&some).unwrap();
        let mut back = some.clone();
        back.reverse();
        prop_assert_eq!(&join(&back).unwrap(), &whole);
        let (left, right) = some.split_at(at.min(some.len()));
        for part in [join(left), join(right)].into_iter().flatten() {
            // J12: equal versions mean equal heads, and a join is above what it adds to.
            prop_assert!(part.version() <= whole.version());
            prop_assert_eq!(part == whole, part.version() == whole.version());
            let again = whole.clone().join(part);
            prop_assert_eq!(&again, &whole);
        }
        prop_assert!(whole.records().len() <= MAX_HEADS);
        prop_assert_eq!(whole.seq(), some.iter().map(|record| record.seq()).max().unwrap());
        prop_assert_eq!(Heads::decode(whole.aguid(), &whole.encode()), Ok(whole));
    }
}
