//! A node of its own on loopback, which nobody else finds.

use std::path::Path;

use node::{Node, config::Effective, home::Home};
use serde_json::Value;

use crate::client::{Client, plain};

pub(crate) struct House {
    pub(crate) directory: tempfile::TempDir,
    node: Option<Node>,
}

impl House {
    pub(crate) async fn new() -> House {
        let mut house = House {
            directory: tempfile::tempdir().unwrap(),
            node: None,
        };
        house.start().await;
        house
    }

    async fn start(&mut self) {
        let flags = [
            ("network.listen", "/ip4/127.0.0.1/tcp/0"),
            ("network.mdns", "false"),
            ("network.kademlia", "false"),
            ("api.port", "0"),
            ("s3.port", "0"),
        ];
        let flags = flags.map(|(key, value)| (key, value.to_owned()));
        let home = Home::at(self.home());
        let effective = Effective::load(&home.config_file(), |_| None, &flags).unwrap();
        let node = Node::start(&home, effective).await.unwrap();
        node.active().await;
        self.node = Some(node);
    }

    pub(crate) async fn stop(&mut self) {
        self.node.take().unwrap().stop().await.unwrap();
    }

    pub(crate) async fn restart(&mut self) {
        self.stop().await;
        self.start().await;
    }

    pub(crate) fn home(&self) -> &Path {
        self.directory.path()
    }

    fn node(&self) -> &Node {
        self.node.as_ref().unwrap()
    }

    /// A client with a key of its own.
    pub(crate) async fn client(&self) -> Client {
        let body = br#"{"label": "test"}"#;
        let made = self.api("POST", "/api/v1/s3/keys", body).await;
        let made: Value = serde_json::from_slice(&made).unwrap();
        self.client_of(
            made["access_key"].as_str().unwrap(),
            made["secret_key"].as_str().unwrap(),
        )
    }

    pub(crate) fn client_of(&self, access_key: &str, secret_key: &str) -> Client {
        Client {
            address: self.node().s3(),
            access_key: access_key.to_owned(),
            secret_key: secret_key.to_owned(),
        }
    }

    /// A client with a bucket.
    pub(crate) async fn with_bucket(&self, bucket: &str) -> Client {
        let client = self.client().await;
        client.put(&format!("/{bucket}"), b"").await.ok();
        client
    }

    /// The control API.
    pub(crate) async fn api(&self, method: &str, path: &str, body: &[u8]) -> Vec<u8> {
        let token = std::fs::read_to_string(self.home().join("api.token")).unwrap();
        let address = self.node().api();
        let kind = match body.first() {
            Some(b'{') => "application/json",
            _ => "application/octet-stream",
        };
        let headers = [
            ("host", address.to_string()),
            ("authorization", format!("Bearer {}", token.trim())),
            ("content-type", kind.to_owned()),
            ("content-length", body.len().to_string()),
        ];
        let answer = plain(address, method, path, &headers, body).await;
        assert!((200..300).contains(&answer.status), "{answer:?}");
        answer.body
    }
}
