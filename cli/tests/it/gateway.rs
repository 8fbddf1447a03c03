//! Content by CID over HTTP, as a browser asks for it.

use std::{collections::HashSet, fs};

use lab::Lab;
use multihash_codetable::{Code, MultihashDigest};

use crate::net::Net;

const MIB: usize = 1024 * 1024;

struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        let line = |line: &&str| line.to_ascii_lowercase().starts_with(&format!("{name}: "));
        let line = self.head.lines().find(line)?;
        Some(line.split_once(": ")?.1)
    }
}

fn ask(lab: &Lab, method: &str, path: &str, headers: &[&str]) -> Answer {
    let mut request = format!("{method} {path} HTTP/1.1\\r\\nConnection: close\\r\\n");
    for header in headers {
        request += &format!("{header}\\r\\n");
    }
    let request = request.replace('%', "%%");
    let script = format!("exec 3<>/dev/tcp/127.0.0.1/4748; printf '{request}\\r\\n' >&3; cat <&3");
    let output = lab.output(0, "bash", ["-c", &script]).unwrap();
    let end = output.stdout.windows(4).position(|at| at == b"\r\n\r\n");
    let end = end.expect("an answer has a head");
    let head = String::from_utf8(output.stdout[..end].to_vec()).unwrap();
    let body = output.stdout[end + 4..].to_vec();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer {
        status,
        body: match head
            .to_ascii_lowercase()
            .contains("transfer-encoding: chunked")
        {
            true => unchunk(&body),
            false => body,
        },
        head,
    }
}

fn unchunk(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let end = rest
            .windows(2)
            .position(|at| at == b"\r\n")
            .expect("a size");
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..end]).unwrap(), 16).unwrap();
        if size == 0 {
            return body;
        }
        body.extend_from_slice(&rest[end + 2..end + 2 + size]);
        rest = &rest[end + 2 + size + 2..];
    }
}

const HOST: &str = "Host: 127.0.0.1:4748";

fn get(lab: &Lab, path: &str, headers: &[&str]) -> Answer {
    let headers: Vec<&str> = [HOST].iter().chain(headers).copied().collect();
    ask(lab, "GET", path, &headers)
}

#[test]
fn a_browser_reads_files_and_directories() {
    if !Lab::available_or_skip("a_browser_reads_files_and_directories") {
        return;
    }
    let net = Net::start(Lab::builder().nodes(1));
    let lab = &net.lab;
    let content = tempfile::tempdir().unwrap();
    let (site, plain) = (content.path().join("site"), content.path().join("plain"));
    fs::create_dir_all(site.join("below")).unwrap();
    fs::create_dir_all(&plain).unwrap();
    fs::write(site.join("index.html"), "<h1>hello</h1>").unwrap();
    let large: Vec<u8> = (0..3 * MIB + 5).map(|at| (at * 7 % 251) as u8).collect();
    fs::write(site.join("below/large.bin"), &large).unwrap();
    fs::write(plain.join("a & b.txt"), "text").unwrap();
    let put = |path: &std::path::Path| {
        let said = net.json(0, &["object", "put", path.to_str().unwrap()]);
        said["cid"].as_str().unwrap().to_owned()
    };
    let (site, plain) = (put(&site), put(&plain));

    // Files: whole, in parts, unchanged, and their head alone.
    let path = format!("/ipfs/{site}/below/large.bin");
    let whole = get(lab, &path, &[]);
    assert_eq!(
        (whole.status, whole.body == large),
        (200, true),
        "{}",
        whole.head
    );
    assert_eq!(whole.header("x-ipfs-path"), Some(path.as_str()));
    let for_ever = Some("public, max-age=29030400, immutable");
    assert_eq!(whole.header("cache-control"), for_ever);
    let policy = whole.header("content-security-policy").unwrap();
    assert!(policy.contains("script-src 'none'"), "{policy}");
    let tag = whole.header("etag").unwrap();
    let known = get(lab, &path, &[&format!("If-None-Match: {tag}")]);
    assert_eq!((known.status, known.body.len()), (304, 0));
    let (from, to) = (MIB - 3, 2 * MIB + 3);
    let part = get(lab, &path, &[&format!("Range: bytes={from}-{to}")]);
    assert_eq!((part.status, part.body == large[from..=to]), (206, true));
    let range = format!("bytes {from}-{to}/{}", large.len());
    assert_eq!(part.header("content-range"), Some(range.as_str()));
    let end = get(lab, &path, &["Range: bytes=-4"]);
    assert_eq!(end.body, large[large.len() - 4..]);
    let outside = get(lab, &path, &["Range: bytes=99999999-"]);
    assert_eq!(outside.status, 416);
    let head = ask(lab, "HEAD", &path, &[HOST]);
    let size = large.len().to_string();
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.header("content-length"), Some(size.as_str()));

    // Directories: with a page, and as a list.
    assert_eq!(get(lab, &format!("/ipfs/{site}"), &[]).status, 301);
    let index = get(lab, &format!("/ipfs/{site}/"), &[]);
    assert_eq!(index.body, b"<h1>hello</h1>");
    assert_eq!(
        index.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    let list = get(lab, &format!("/ipfs/{plain}/"), &[]);
    let page = String::from_utf8(list.body).unwrap();
    assert!(
        page.contains("./a%20%26%20b.txt") && page.contains("a &amp; b.txt"),
        "{page}"
    );
    let named = get(lab, &format!("/ipfs/{plain}/a%20%26%20b.txt"), &[]);
    assert_eq!(named.body, b"text");
    assert_eq!(
        named.header("content-type"),
        Some("text/plain; charset=utf-8")
    );

    // Blocks, and all of them.
    let raw = get(lab, &format!("/ipfs/{site}?format=raw"), &[]);
    let cid: cid::Cid = site.parse().unwrap();
    assert_eq!(Code::Sha2_256.digest(&raw.body), *cid.hash());
    let accept = "Accept: application/vnd.ipld.car";
    let car = get(lab, &format!("/ipfs/{site}"), &[accept]);
    assert_eq!(car.status, 200, "{}", car.head);
    let again = get(lab, &format!("/ipfs/{site}?format=car"), &[]);
    assert!(car.body == again.body, "the same DAG, another CAR");
    let blocks = blocks_of(&car.body);
    assert_eq!(blocks[0], cid);
    // Two directories, index.html, and a file of four chunks.
    assert_eq!(blocks.len(), 8);
    assert_eq!(blocks.iter().collect::<HashSet<_>>().len(), 8);

    // What is not there, what is nothing, and who may not ask.
    let status = |path: &str, headers: &[&str]| get(lab, path, headers).status;
    assert_eq!(status(&format!("/ipfs/{site}/no"), &[]), 404);
    assert_eq!(status(&format!("/ipfs/{site}/index.html/no"), &[]), 400);
    assert_eq!(status("/ipfs/nothing", &[]), 400);
    assert_eq!(status(&format!("/ipfs/{site}?format=tar"), &[]), 400);
    let absent = "bafkreibm6jg3ux5qumhcn2b3flc3tyu6dmlb4xa7u5bf44yegnrjhc4yeq";
    assert_eq!(status(&format!("/ipfs/{absent}"), &[]), 404);
    let foreign = ask(lab, "GET", &path, &["Host: rebound.example:4748"]);
    assert_eq!(foreign.status, 403);
    assert_eq!(status(&path, &["Origin: http://evil.example"]), 403);
    let embedded = ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors"];
    assert_eq!(status(&path, &embedded), 403);
    assert_eq!(ask(lab, "PUT", &path, &[HOST]).status, 401);
    let car = format!("/ipfs/{site}?format=car");
    let navigates = [
        "Sec-Fetch-Site: cross-site",
        "Sec-Fetch-Mode: navigate",
        "Sec-Fetch-Dest: document",
    ];
    // A page of another site may lead here, and sees the same whatever there is.
    let doorstep = |path: &str| {
        let answer = get(lab, path, &navigates);
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let page = String::from_utf8(answer.body).unwrap();
        assert!(page.contains(&format!("<a href=\"{path}\">")), "{page}");
        (answer.status, page.replace(path, ""))
    };
    let shown = doorstep(&car);
    assert_eq!(shown.0, 200);
    assert_eq!(shown, doorstep(&format!("/ipfs/{absent}?filename=x.bin")));

    // Whatever there is, if there is anything; and a failure is not kept.
    let any = ["If-None-Match: *"];
    assert_eq!(status(&car, &any), 304);
    assert_eq!(status(&format!("/ipfs/{site}?format=raw"), &any), 304);
    let missing = get(lab, &format!("/ipfs/{absent}?format=raw"), &any);
    assert_eq!(missing.status, 404);
    assert_eq!(missing.header("cache-control"), Some("no-store"));
}

/// The CIDs of a CAR's blocks in their order, each block hashed.
fn blocks_of(mut car: &[u8]) -> Vec<cid::Cid> {
    let mut cids = Vec::new();
    let mut head = true;
    while !car.is_empty() {
        let (length, rest) = unsigned_varint::decode::usize(car).unwrap();
        let (section, rest) = rest.split_at(length);
        car = rest;
        if std::mem::take(&mut head) {
            continue;
        }
        let mut block = section;
        let cid = cid::Cid::read_bytes(&mut block).unwrap();
        assert_eq!(Code::Sha2_256.digest(block), *cid.hash(), "{cid}");
        cids.push(cid);
    }
    cids
}
