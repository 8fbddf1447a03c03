//! On which port the node's proxy is.

use node::{api::types::WebCacheStatus, config::Effective};
use serde::Serialize;

use crate::{
    client::Client,
    exit::{Code, Failure},
};

/// What it is where nobody says otherwise.
pub(super) const USUAL_PORT: u16 = 3128;

/// The proxy as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Proxy {
    pub(super) port: u16,
    pub(super) source: Source,
}

/// Who says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Source {
    /// The person.
    Named,
    /// The node that runs.
    Running,
    /// The settings; no node runs.
    Configured,
    /// Nobody: there is none.
    Off,
}

impl Proxy {
    pub(super) async fn find(named: Option<u16>, client: &Client) -> Result<Self, Failure> {
        if let Some(port) = named {
            let source = Source::Named;
            return Ok(Self { port, source });
        }
        match client.get::<WebCacheStatus>("/api/v1/webcache").await {
            Ok(status) => Self::running(&status),
            Err(failure) if failure.code == Code::NotRunning => Self::configured(client),
            // The node runs and has none.
            Err(failure) if failure.code == Code::NotFound => Ok(Self::OFF),
            Err(failure) => Err(failure),
        }
    }

    const OFF: Self = Self {
        port: USUAL_PORT,
        source: Source::Off,
    };

    fn running(status: &WebCacheStatus) -> Result<Self, Failure> {
        let port = status.proxy.rsplit(':').next();
        let port = port.and_then(|port| port.parse().ok()).ok_or_else(|| {
            Failure::other(format!("the node's proxy has no port: {}", status.proxy))
        })?;
        let source = Source::Running;
        Ok(Self { port, source })
    }

    fn configured(client: &Client) -> Result<Self, Failure> {
        let variable = |name: &str| std::env::var(name).ok();
        let settings =
            Effective::load(&client.home().config_file(), variable, &[]).map_err(Failure::usage)?;
        Ok(match settings.config.webcache.port {
            0 => Self::OFF,
            port => Self {
                port,
                source: Source::Configured,
            },
        })
    }

    /// What a person should know before a client is pointed at it.
    pub(super) fn warning(self, client: &Client) -> Option<String> {
        let home = client.home().root().display();
        match self.source {
            Source::Named | Source::Running => None,
            Source::Configured => Some(format!(
                "no node is running in {home}: until one is, there is nothing at this port"
            )),
            Source::Off => Some(format!(
                "the node in {home} has no web cache: {}",
                on(client)
            )),
        }
    }
}

/// How to switch it on.
pub(super) fn on(client: &Client) -> String {
    let file = client.home().config_file();
    format!(
        "start it with --webcache-port {USUAL_PORT}, or set port = {USUAL_PORT} under [webcache] in {}",
        file.display()
    )
}
