//! The two doors of the API.

use std::{fs, io, net::SocketAddr, os::unix::fs::PermissionsExt, path::PathBuf, time::Duration};

use anyhow::Context;
use tokio::{
    net::{TcpListener, UnixListener},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use super::{
    App,
    guard::{Guard, guard},
    router,
};
use crate::{expecting::close_where_refused, ports::open_door};

/// How long requests under way may take to finish when the node stops.
const DRAIN: Duration = Duration::from_secs(2);

/// The opened doors; nobody is let in before [`Doors::serve`].
pub(crate) struct Doors {
    unix: UnixListener,
    socket: SocketFile,
    tcp: TcpListener,
    pub(crate) address: SocketAddr,
}

/// The socket's name in the home; gone when this is dropped.
struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // If it is gone already, so much the better.
        let _ = fs::remove_file(&self.0);
    }
}

impl Doors {
    /// Opens both. The caller holds the home's lock, so a socket that is there is the
    /// leftover of a killed node.
    pub(crate) async fn open(socket: PathBuf, port: u16) -> anyhow::Result<Self> {
        let tcp = open_door(port, "--api-port", "control API").await?;
        match fs::remove_file(&socket) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error).context(format!("old socket {}", socket.display()));
            }
            _ => {}
        }
        // Nobody gets in between the two calls: the directory is 0700.
        let unix = UnixListener::bind(&socket)
            .with_context(|| format!("control socket {}", socket.display()))?;
        fs::set_permissions(&socket, fs::Permissions::from_mode(0o600))
            .with_context(|| format!("control socket {}", socket.display()))?;
        let address = tcp.local_addr()?;
        Ok(Self {
            unix,
            socket: SocketFile(socket),
            tcp,
            address,
        })
    }

    /// Serves both until `stop`, and a little longer for requests under way.
    pub(crate) async fn serve(self, app: App, token: &str, stop: CancellationToken) {
        let Self {
            unix,
            socket,
            tcp,
            address,
        } = self;
        let inside = router(app);
        let outside = inside.clone().layer(axum::middleware::from_fn_with_state(
            Guard::new(token, address.port()),
            guard,
        ));
        let [inside, outside] = [inside, outside]
            .map(|door| door.layer(axum::middleware::from_fn(close_where_refused)));
        let mut doors = JoinSet::new();
        let stopped = stop.clone().cancelled_owned();
        doors.spawn(async move {
            axum::serve(unix, inside)
                .with_graceful_shutdown(stopped)
                .await
        });
        let stopped = stop.clone().cancelled_owned();
        doors.spawn(async move {
            axum::serve(tcp, outside)
                .with_graceful_shutdown(stopped)
                .await
        });
        stop.cancelled().await;
        drop(socket);
        let drained = async { while doors.join_next().await.is_some() {} };
        if tokio::time::timeout(DRAIN, drained).await.is_err() {
            tracing::info!("requests under way were cut off");
        }
    }
}
