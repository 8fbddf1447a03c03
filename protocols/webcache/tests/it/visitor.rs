//! A client that speaks TLS through the proxy, to who it believes is the host.

use std::{io, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use webcache::{Authority, Hosts};

use crate::origin::{Client, Origin, Reply, parse};

/// An authority of a folder of its own.
pub(crate) fn authority(hosts: &[&str]) -> (Arc<Authority>, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
    let hosts = Hosts::parse(&hosts).unwrap();
    let authority = Authority::open(folder.path(), &hosts).unwrap();
    (Arc::new(authority), folder)
}

/// Where an origin is, by its name.
pub(crate) fn place(origin: &Origin) -> String {
    format!("localhost:{}", origin.address.port())
}

/// A client that trusts some certificates and no others.
pub(crate) struct Visitor {
    config: ClientConfig,
    /// The name that it asks for.
    pub(crate) name: &'static str,
}

impl Visitor {
    pub(crate) fn of(authority: &Authority) -> Visitor {
        let certificate = CertificateDer::from_pem_slice(authority.pem().as_bytes());
        Visitor::trusting(&certificate.unwrap())
    }

    pub(crate) fn trusting(certificate: &CertificateDer<'static>) -> Visitor {
        let mut roots = RootCertStore::empty();
        roots.add(certificate.clone()).unwrap();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Visitor {
            config,
            name: "localhost",
        }
    }

    /// The same, which offers these protocols.
    pub(crate) fn speaking(mut self, protocols: &[&str]) -> Visitor {
        let names = protocols.iter().map(|name| name.as_bytes().to_vec());
        self.config.alpn_protocols = names.collect();
        self
    }

    /// Through the proxy to a host and port.
    pub(crate) async fn visit(
        &self,
        client: &Client,
        at: &str,
    ) -> io::Result<TlsStream<TcpStream>> {
        let (status, stream) = connect(client, at).await;
        assert_eq!(status, 200, "{at}");
        let name = ServerName::try_from(self.name).unwrap();
        let connector = TlsConnector::from(Arc::new(self.config.clone()));
        connector.connect(name, stream).await
    }

    /// What is answered to a request on a connection of its own.
    pub(crate) async fn ask(&self, client: &Client, at: &str, request: &str) -> Reply {
        let mut stream = self.visit(client, at).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer).await;
        // To its right end, which TLS tells from one that somebody else has made. hyper just drops
        // a connection behind a CONNECT, whatever was answered.
        assert!(read.is_ok() || request.starts_with("CONNECT"), "{read:?}");
        parse(&answer)
    }

    pub(crate) async fn get(&self, client: &Client, at: &str, path: &str, field: &str) -> Reply {
        let field = match field {
            "" => String::new(),
            field => format!("{field}\r\n"),
        };
        let head = format!("Host: {at}\r\n{field}Connection: close");
        self.ask(
            client,
            at,
            &format!("GET {path} HTTP/1.1\r\n{head}\r\n\r\n"),
        )
        .await
    }
}

/// What the proxy answers to `CONNECT`, and the connection behind it.
pub(crate) async fn connect(client: &Client, at: &str) -> (u16, TcpStream) {
    let mut stream = client.connect().await;
    let request = format!("CONNECT {at} HTTP/1.1\r\nHost: {at}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    (parse(&head).status, stream)
}
