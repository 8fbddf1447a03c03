//! `CONNECT`.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use crate::origin::{Client, Origin, Script, parse};

#[tokio::test]
async fn bytes_go_both_ways_until_both_are_done() {
    let client = Client::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = listener.local_addr().unwrap();
    let far = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut got = [0; 5];
        stream.read_exact(&mut got).await.unwrap();
        stream.write_all(b"and back").await.unwrap();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.unwrap();
        (got, rest)
    });
    let mut stream = client.connect().await;
    let request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    assert_eq!(parse(&head).status, 200);
    stream.write_all(b"there and more").await.unwrap();
    let mut back = [0; 8];
    stream.read_exact(&mut back).await.unwrap();
    assert_eq!(&back, b"and back");
    stream.shutdown().await.unwrap();
    let (got, rest) = far.await.unwrap();
    assert_eq!(
        (&got[..], rest.as_slice()),
        (&b"there"[..], &b" and more"[..])
    );
}

#[tokio::test]
async fn where_nobody_listens_there_is_no_tunnel() {
    let client = Client::start().await;
    let unused = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let ask = async |target: &str| {
        let request = format!("CONNECT {target} HTTP/1.1\r\nConnection: close\r\n\r\n");
        parse(&client.send(request.as_bytes()).await).status
    };
    assert_eq!(ask(&unused.to_string()).await, 502);
    assert_eq!(ask("localhost").await, 400);
    assert_eq!(ask("localhost:0").await, 400);
}

#[tokio::test]
async fn names_that_lead_back_to_this_machine_are_refused() {
    let (origin, client) = (Origin::start().await, Client::start().await);
    origin.says("/a", Script::ok("", "mine"));
    let port = origin.address.port();
    // The resolver takes it for 127.0.0.1, as it would a name of somebody's domain.
    let name = "127.1";
    let reply = client.get(&format!("http://{name}:{port}/a")).await;
    assert_eq!(reply.status, 502);
    let request = format!("CONNECT {name}:{port} HTTP/1.1\r\nConnection: close\r\n\r\n");
    let tunnel = parse(&client.send(request.as_bytes()).await);
    assert_eq!(tunnel.status, 502);
    for refused in [reply, tunnel] {
        let said = refused.text();
        assert!(said.contains("127.1 resolves to 127.0.0.1"), "{said}");
    }
    assert_eq!(origin.count(), 0);
    let named = client.get(&format!("http://localhost:{port}/a")).await;
    assert_eq!(named.text(), "mine");
}
