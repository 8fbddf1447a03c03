use guid::Guid;
use proptest::prelude::*;

#[test]
fn a_hash_is_the_first_half_of_sha_256() {
    // FIPS 180-4's example: SHA-256("abc") = ba7816bf 8f01cfea 414140de 5dae2223 ...
    assert_eq!(
        Guid::hash(b"abc").to_string(),
        "ba7816bf8f01cfea414140de5dae2223"
    );
}

#[test]
fn a_name_belongs_to_its_owner() {
    assert_ne!(
        Guid::of_name(b"alice", "notes"),
        Guid::of_name(b"bob", "notes")
    );
    assert_ne!(
        Guid::of_name(b"alice", "notes"),
        Guid::of_name(b"alicen", "otes")
    );
}

#[test]
fn texts_that_are_no_identifier_are_refused_by_name() {
    for text in [
        "",
        "12",
        "+123456789abcdef0123456789abcdef",
        "g0000000000000000000000000000000",
    ] {
        let error = text.parse::<Guid>().unwrap_err().to_string();
        assert!(
            error.contains(text) && error.contains("32 hexadecimal digits"),
            "{error}"
        );
    }
    assert!("é".repeat(16).parse::<Guid>().is_err());
}

proptest! {
    #[test]
    fn text_and_bytes_round_trip(value: u128) {
        let guid = Guid::new(value);
        prop_assert_eq!(guid.to_string().parse::<Guid>().unwrap(), guid);
        prop_assert_eq!(Guid::from_bytes(guid.to_bytes()), guid);
    }
}

#[test]
fn the_roots_of_an_object_are_apart_and_the_first_is_its_own_place() {
    let object = Guid::hash(b"object");
    let roots: std::collections::BTreeSet<Guid> = (0..8).map(|salt| object.salted(salt)).collect();
    assert_eq!(object.salted(0), object);
    assert_eq!(roots.len(), 8);
    // SHA-256 of "hedgerow root", the byte 1 and the identifier's bytes.
    let mut bytes = b"hedgerow root\x01".to_vec();
    bytes.extend(object.to_bytes());
    assert_eq!(object.salted(1), Guid::hash(&bytes));
}
