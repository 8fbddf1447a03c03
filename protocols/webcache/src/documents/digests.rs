//! Digests of files that index pages name (Q42).

use std::collections::HashMap;

use serde::Deserialize;
use url::Url;

use super::html::{self, attribute};
use crate::digest::Known;

/// Takes a file and its digest.
type Learn<'a> = dyn FnMut(Url, Known) + 'a;

/// PEP 691, with the metadata beside a file (PEP 714).
#[derive(Deserialize)]
struct Simple {
    files: Vec<SimpleFile>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct SimpleFile {
    url: String,
    #[serde(default)]
    hashes: HashMap<String, String>,
    core_metadata: Option<Metadata>,
    dist_info_metadata: Option<Metadata>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Metadata {
    Hashes(HashMap<String, String>),
    Flag(#[allow(dead_code)] bool),
}

pub(super) fn of_simple(page: &Url, text: &[u8], learn: &mut Learn<'_>) {
    let Ok(simple) = serde_json::from_slice::<Simple>(text) else {
        return;
    };
    for file in simple.files {
        let Ok(url) = page.join(&file.url) else {
            continue;
        };
        let metadata = file.core_metadata.or(file.dist_info_metadata);
        if let Some(Metadata::Hashes(hashes)) = metadata {
            learn_metadata(&url, best(&hashes), learn);
        }
        if let Some(known) = best(&file.hashes) {
            learn(url, known);
        }
    }
}

fn best(hashes: &HashMap<String, String>) -> Option<Known> {
    let mut names = ["sha256", "sha512"].iter();
    names.find_map(|name| Known::of_hex(name, hashes.get(*name)?))
}

/// The metadata of a file is at its URL with `.metadata` behind the path (PEP 658).
fn learn_metadata(file: &Url, known: Option<Known>, learn: &mut Learn<'_>) {
    if let Some(known) = known {
        let mut url = file.clone();
        url.set_path(&format!("{}.metadata", file.path()));
        learn(url, known);
    }
}

/// What npm knows of a package; all but the files of its versions is left out.
#[derive(Deserialize)]
struct Packument {
    versions: HashMap<String, Version>,
}

#[derive(Deserialize)]
struct Version {
    dist: Option<Dist>,
}

#[derive(Deserialize)]
struct Dist {
    tarball: Option<String>,
    integrity: Option<String>,
}

pub(super) fn of_packument(page: &Url, text: &[u8], learn: &mut Learn<'_>) {
    let Ok(packument) = serde_json::from_slice::<Packument>(text) else {
        return;
    };
    let dists = packument
        .versions
        .into_values()
        .filter_map(|version| version.dist);
    for dist in dists {
        let (Some(tarball), Some(integrity)) = (dist.tarball, dist.integrity) else {
            continue;
        };
        if let (Ok(url), Some(known)) = (page.join(&tarball), Known::of_integrity(&integrity)) {
            learn(url, known);
        }
    }
}

/// `config.json` of a sparse index of cargo.
#[derive(Deserialize)]
struct CargoConfig {
    dl: String,
}

/// The longest `dl`, name of a crate and version that are read.
const MAX_DL: usize = 1024;
const MAX_NAME: usize = 64;
const MAX_VERSION: usize = 128;

pub(super) fn crates(text: &[u8]) -> Option<String> {
    let config: CargoConfig = serde_json::from_slice(text).ok()?;
    (config.dl.len() <= MAX_DL).then_some(config.dl)
}

#[derive(Deserialize)]
struct CrateVersion {
    name: String,
    vers: String,
    cksum: String,
}

/// Whether a path is that of a crate in a sparse index: `.../1/a`, `.../2/ab`, `.../3/a/abc`,
/// `.../ab/cd/abcd`.
pub(crate) fn is_crate(path: &str) -> bool {
    index(path).is_some()
}

/// The path of the index that a crate's path is in.
pub(super) fn index(path: &str) -> Option<&str> {
    let name = path.rsplit('/').next().unwrap_or_default();
    let tail = is_name(name).then(|| format!("{}/{name}", prefix(name)))?;
    path.strip_suffix(&tail)
        .filter(|index| index.ends_with('/'))
}

fn is_name(name: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    !name.is_empty() && name.len() <= MAX_NAME && name.bytes().all(is_letter)
}

/// The folders of a crate in an index.
fn prefix(name: &str) -> String {
    match name.len() {
        0..=2 => name.len().to_string(),
        3 => format!("3/{}", &name[..1]),
        _ => format!("{}/{}", &name[..2], &name[2..4]),
    }
}

pub(super) fn of_crate(crates: &str, text: &[u8], learn: &mut Learn<'_>) {
    let lines = text.split(|byte| *byte == b'\n');
    for line in lines.filter(|line| !line.is_empty()) {
        let Ok(version) = serde_json::from_slice::<CrateVersion>(line) else {
            continue;
        };
        let Some(known) = Known::of_hex("sha256", &version.cksum) else {
            continue;
        };
        if !is_name(&version.name) || version.vers.len() > MAX_VERSION {
            continue;
        }
        if let Ok(url) = Url::parse(&crate_url(crates, &version)) {
            learn(url, known);
        }
    }
}

/// As the Cargo Book has it: with markers, or else `/{crate}/{version}/download` behind it.
fn crate_url(crates: &str, version: &CrateVersion) -> String {
    let CrateVersion { name, vers, cksum } = version;
    let lower = name.to_ascii_lowercase();
    let led = crates
        .replace("{crate}", name)
        .replace("{version}", vers)
        .replace("{prefix}", &prefix(name))
        .replace("{lowerprefix}", &prefix(&lower))
        .replace("{sha256-checksum}", cksum);
    match led == crates {
        true => format!("{crates}/{name}/{vers}/download"),
        false => led,
    }
}

/// Anchors: `<a href="URL#sha256=DIGITS" data-core-metadata="sha256=DIGITS">`.
pub(super) fn of_html(page: &Url, text: &[u8], learn: &mut Learn<'_>) {
    let base = html::base(page, text);
    let from = base.as_ref().map_or(page, |base| &base.url);
    for tag in html::tags(text) {
        let tag = String::from_utf8_lossy(&text[tag]);
        if !html::is_named(&tag, "a") {
            continue;
        }
        let Some(Ok(url)) = attribute(&tag, "href").map(|link| from.join(&link)) else {
            continue;
        };
        let metadata = attribute(&tag, "data-core-metadata")
            .or_else(|| attribute(&tag, "data-dist-info-metadata"));
        let metadata = metadata.and_then(|said| of_pair(&said));
        learn_metadata(&without_fragment(&url), metadata, learn);
        if let Some(known) = url.fragment().and_then(of_pair) {
            learn(url, known);
        }
    }
}

/// `sha256=DIGITS`.
fn of_pair(pair: &str) -> Option<Known> {
    let (algorithm, digits) = pair.split_once('=')?;
    Known::of_hex(algorithm, digits)
}

fn without_fragment(url: &Url) -> Url {
    let mut url = url.clone();
    url.set_fragment(None);
    url
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DIGITS: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    const SHA512: &str = "sha512-m3HSJL1i83hdltRq0+o9czGb+8KJDKra4t/3JRlnPKcjI8PZm6XBHXx6zG4UuMXaDEZjR1wuXDre9G9zvN7AQw==";

    fn learned(read: impl FnOnce(&Url, &mut Learn<'_>)) -> Vec<String> {
        let mut files = Vec::new();
        let page = Url::parse("https://a.example/simple/x/").unwrap();
        read(&page, &mut |url: Url, _| files.push(url.to_string()));
        files
    }

    #[test]
    fn anchors_name_files_and_metadata() {
        let page = format!(
            "<!DOCTYPE html><body><a\n class=x href=no>no</a>\
             <a data-yanked='a > b' href=\"https://a.example/1.whl?a=1&amp;b#sha256={DIGITS}\"\
              data-core-metadata=\"sha256={DIGITS}\">1</a>\
             <A HREF='../../2.whl#sha256={DIGITS}'>2</A>\
             <a class=x href=7#sha256={DIGITS}>7</a>\
             <a title=\"never closed\n href='8#sha256={DIGITS}'>8</a>\
             <abbr href=\"3#sha256={DIGITS}\"><a href=\"4#md5=1\"><a href=\"5#sha256=12\">\
             <a href=\"6#sha256={DIGITS}"
        );
        assert_eq!(
            learned(|url, learn| of_html(url, page.as_bytes(), learn)),
            [
                "https://a.example/1.whl.metadata?a=1&b".to_owned(),
                format!("https://a.example/1.whl?a=1&b#sha256={DIGITS}"),
                format!("https://a.example/2.whl#sha256={DIGITS}"),
                format!("https://a.example/simple/x/7#sha256={DIGITS}"),
            ]
        );
    }

    #[test]
    fn links_are_reckoned_from_the_base_that_a_page_names() {
        let page = format!(
            "<base href=/files/><a href=1#sha256={DIGITS}><a href = '/2#sha256={DIGITS}'>\
             <!-- <a href=3#sha256={DIGITS}> -->"
        );
        assert_eq!(
            learned(|url, learn| of_html(url, page.as_bytes(), learn)),
            [
                format!("https://a.example/files/1#sha256={DIGITS}"),
                format!("https://a.example/2#sha256={DIGITS}"),
            ]
        );
    }

    #[test]
    fn packages_of_npm_name_their_files() {
        let page = format!(
            r#"{{"name":"x","versions":{{
              "1.0.0":{{"dist":{{"tarball":"https://a.example/x/-/x-1.0.0.tgz","integrity":"{SHA512}"}}}},
              "0.9.0":{{"dist":{{"tarball":"https://a.example/x/-/x-0.9.0.tgz","shasum":"00"}}}},
              "0.8.0":{{}}}}}}"#
        );
        assert_eq!(
            learned(|url, learn| of_packument(url, page.as_bytes(), learn)),
            ["https://a.example/x/-/x-1.0.0.tgz"]
        );
    }

    #[test]
    fn projects_of_pep_691_name_their_files() {
        let page = format!(
            r#"{{"meta":{{"api-version":"1.1"}},"versions":["1"],"files":[
              {{"filename":"1","url":"../1","hashes":{{"sha256":"{DIGITS}"}},
               "core-metadata":true,"data-dist-info-metadata":false}},
              {{"filename":"2","url":"https://a.example/2","hashes":{{"md5":"00"}}}}]}}"#
        );
        assert_eq!(
            learned(|url, learn| of_simple(url, page.as_bytes(), learn)),
            ["https://a.example/simple/1"]
        );
    }

    #[test]
    fn crates_have_their_place() {
        for (name, folders) in [("a", "1"), ("ab", "2"), ("abc", "3/a"), ("serde", "se/rd")] {
            assert_eq!(prefix(name), folders);
            let page = Url::parse(&format!("https://a.example/index/{folders}/{name}")).unwrap();
            assert_eq!(index(page.path()), Some("/index/"), "{page}");
        }
        for path in [
            "",
            "/",
            "/1/ab",
            "/se/rd/x",
            "/config.json",
            "/se/rd/ser%20de",
            "/xse/rd/serde",
        ] {
            assert!(!is_crate(path), "{path}");
        }
        let long = "a".repeat(MAX_NAME + 1);
        assert!(!is_crate(&format!("/aa/aa/{long}")));
        // Of a crate that is none nothing is learned, nor made.
        for (name, vers) in [("{version}", "1"), ("a", &long.repeat(2)[..]), ("é", "1")] {
            let line =
                format!("{{\"name\":\"{name}\",\"vers\":\"{vers}\",\"cksum\":\"{DIGITS}\"}}");
            let dl = "https://a/{crate}{version}";
            let files = learned(|_, learn| of_crate(dl, line.as_bytes(), learn));
            assert_eq!(files, [""; 0], "{name}");
        }
        let version = CrateVersion {
            name: "Serde".to_owned(),
            vers: "1.0.0".to_owned(),
            cksum: DIGITS.to_owned(),
        };
        for (dl, url) in [
            (
                "https://a/dl",
                "https://a/dl/Serde/1.0.0/download".to_owned(),
            ),
            (
                "https://a/{prefix}/{lowerprefix}/{crate}/{version}",
                "https://a/Se/rd/se/rd/Serde/1.0.0".to_owned(),
            ),
            ("https://a/{sha256-checksum}", format!("https://a/{DIGITS}")),
        ] {
            assert_eq!(crate_url(dl, &version), url);
        }
    }

    proptest! {
        /// Whatever the values are of what is read.
        #[test]
        fn any_values_are_read(
            url in ".{0,20}", hash in "[a-f0-9]{0,70}|.{0,9}", name in "[a-c{}-]{0,70}|.{0,5}",
            dl in "https://a/[a-z{}/-]{0,30}|.{0,20}",
        ) {
            let hashes = serde_json::json!({"sha256": hash});
            let simple = serde_json::json!({"files": [{"url": url, "hashes": hashes, "core-metadata": hashes}]});
            let dist = serde_json::json!({"tarball": url, "integrity": format!("sha512-{hash}")});
            let packument = serde_json::json!({"versions": {"1": {"dist": dist}}});
            let line = serde_json::json!({"name": name, "vers": url, "cksum": hash});
            let is_right = Known::of_hex("sha256", &hash).is_some();
            for file in learned(|url, learn| of_simple(url, simple.to_string().as_bytes(), learn)) {
                prop_assert!(is_right, "{}", file);
            }
            let _ = learned(|url, learn| of_packument(url, packument.to_string().as_bytes(), learn));
            let _ = learned(|_, learn| of_crate(&dl, line.to_string().as_bytes(), learn));
        }

        #[test]
        fn any_text_is_a_page(text in "[<>a-c=\"'# {}:é&]{0,60}|.{0,60}") {
            let _ = learned(|url, learn| of_html(url, text.as_bytes(), learn));
            let _ = learned(|url, learn| of_simple(url, text.as_bytes(), learn));
            let _ = learned(|url, learn| of_packument(url, text.as_bytes(), learn));
            let _ = learned(|_, learn| of_crate("https://a/{prefix}", text.as_bytes(), learn));
            let _ = is_crate(&text);
        }
    }
}
