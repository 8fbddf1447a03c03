//! The S3 door: buckets and keys over versioned objects, for the programs that speak S3.
//!
//! The rules it obeys (K1 and on) are in `docs/specs/s3.md`. The library `s3s` reads and writes
//! S3's requests and checks signatures; what they mean here is in `shelf` and the files
//! beside it.

mod body;
mod bucket_keys;
mod buckets;
mod chunks;
mod failures;
mod gate;
mod keys;
mod list;
mod multipart;
mod names;
mod properties;
mod put;
mod read;
mod service;
mod shelf;
mod signed;
mod times;
mod uploads;
mod versions;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use anyhow::Context;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{api::App, ports::open_door};
use gate::router;
use shelf::Shelf;
use uploads::Uploads;

pub(crate) use keys::{AccessKey, AccessKeys, KeyError};

/// The region that is told to who asks for one; a client may sign for any.
pub const REGION: &str = "us-east-1";

/// How long requests under way may take to finish when the node stops.
const DRAIN: Duration = Duration::from_secs(2);

/// The opened door; nobody is let in before [`Door::serve`].
pub(crate) struct Door {
    tcp: TcpListener,
    uploads: Uploads,
    pub(crate) address: SocketAddr,
}

impl Door {
    /// Opens it, and reads what uploads are under way in this directory.
    pub(crate) async fn open(port: u16, uploads: PathBuf) -> anyhow::Result<Door> {
        let tcp = open_door(port, "--s3-port", "S3").await?;
        let address = tcp.local_addr()?;
        let directory = uploads.clone();
        let read = tokio::task::spawn_blocking(move || Uploads::load(directory)).await?;
        let uploads = read.with_context(|| uploads.display().to_string())?;
        Ok(Door {
            tcp,
            uploads,
            address,
        })
    }

    /// Lets clients in until `stop`, and a little longer those whose request is under way.
    pub(crate) async fn serve(self, app: App, stop: CancellationToken) {
        let keys = app.s3_keys.clone();
        let router = router(Shelf::new(app, self.uploads), keys);
        let closing = stop.clone().cancelled_owned();
        let serving = axum::serve(self.tcp, router).with_graceful_shutdown(closing);
        let mut serving = tokio::spawn(serving.into_future());
        stop.cancelled().await;
        if tokio::time::timeout(DRAIN, &mut serving).await.is_err() {
            serving.abort();
            tracing::info!("S3 requests under way were cut off");
        }
    }
}
