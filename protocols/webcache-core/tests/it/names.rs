//! Q1.

use webcache_core::object_id;

#[test]
fn an_object_is_its_url_and_the_fields_it_varies_with() {
    let url = "http://example.org/";
    let plain = object_id(url, []);
    assert_eq!(plain, object_id(url, []));
    assert_ne!(plain, object_id("http://example.org/a", []));
    let gzip = ("accept-encoding", b"gzip".as_slice());
    let de = ("accept-language", b"de".as_slice());
    assert_ne!(plain, object_id(url, [gzip]));
    assert_eq!(object_id(url, [gzip, de]), object_id(url, [de, gzip]));
    // No text can be moved from one part to the next.
    assert_ne!(
        object_id(url, [("a", b"bc".as_slice())]),
        object_id(url, [("ab", b"c".as_slice())])
    );
}
