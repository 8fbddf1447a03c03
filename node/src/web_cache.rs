//! The web cache's proxy as part of a node (`docs/specs/webcache.md`).

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use anyhow::Context;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use webcache::{Authority, Behaviour, Config, Peers, PeersConfig, Proxy, Roots, Store, Trust};

use crate::{config::WebCache, home::Home};

/// Bytes in a MiB.
const MIB: u64 = 1024 * 1024;

/// Files that a node may have open: as many as the proxy's places, and as many again.
const MOST_FILES: u64 = 16 * 1024;

/// A proxy that listens, and its part in the cache that nodes share.
pub(crate) struct WebCacheParts {
    pub(crate) proxy: Proxy,
    pub(crate) behaviour: Option<Behaviour>,
}

/// Opens the store in the home and listens, if there is a port to listen on.
///
/// # Errors
/// When the folder or the port cannot be had.
pub(crate) async fn open(
    home: &Home,
    settings: &WebCache,
    overlay: overlay::Handle,
) -> anyhow::Result<Option<WebCacheParts>> {
    let authority = authority(home, settings)?;
    if settings.port == 0 {
        return Ok(None);
    }
    let folder = home.web_cache();
    let room = match settings.max_mib {
        0 => None,
        mib => Some(u64::from(mib) * MIB),
    };
    let store = tokio::task::spawn_blocking(move || {
        // So that the disk can be asked how full it is.
        std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        let room = match room {
            Some(room) => room,
            None => webcache::default_room(&folder)
                .with_context(|| format!("how full the disk of {} is", folder.display()))?,
        };
        Ok::<_, anyhow::Error>(Store::open(&folder, room)?)
    });
    let store = Arc::new(store.await??);
    let roots = match settings.ca_file.as_os_str().is_empty() {
        true => Roots::default(),
        false => Roots::with_file(&settings.ca_file).context("webcache.ca_file")?,
    };
    let config = Config {
        // Every node its own, so that a loop shows and a chain does not look like one; a new one
        // at each start, since origins see it and it is not to tell them who the node is.
        name: format!("hedgerow-{:08x}", rand::random::<u32>()),
        offline: settings.offline,
        roots,
        registries: settings.registries.clone(),
        authority: authority.map(Arc::new),
        ..Config::default()
    };
    more_files();
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, settings.port));
    let (bound, behaviour) = match settings.peers {
        Trust::None => (Proxy::bind(listen, config, store).await, None),
        trust @ (Trust::All | Trust::Verified) => {
            let shared = PeersConfig {
                scheme: settings.scheme,
                trust,
                networks: settings.peer_networks.networks(),
                serve_bytes_per_second: (settings.serve_kib > 0)
                    .then(|| u64::from(settings.serve_kib) * 1024),
            };
            let seed = rand::random();
            let (peers, behaviour) = Peers::new(config, shared, store, overlay, seed);
            (Proxy::bind_shared(listen, peers).await, Some(behaviour))
        }
    };
    let proxy = bound.with_context(|| {
        format!("the web cache cannot listen on {listen} (see --webcache-port)")
    })?;
    Ok(Some(WebCacheParts { proxy, behaviour }))
}

/// Who vouches here for the hosts whose `https` is intercepted, if there are any. A key that is
/// needed no more is removed: a client may still trust it.
fn authority(home: &Home, settings: &WebCache) -> anyhow::Result<Option<Authority>> {
    let folder = home.web_cache_authority();
    if settings.intercept.is_empty() {
        if Authority::remove(&folder)? {
            tracing::info!("no host is intercepted any more: the key of the authority is removed");
        }
        return Ok(None);
    }
    if settings.port == 0 {
        return Ok(None);
    }
    let authority = Authority::open(&folder, &settings.intercept)?;
    tracing::warn!(
        hosts = authority.hosts().texts().join(" "),
        "the web cache reads https to these hosts, of clients that trust its authority: what they \
         send and get, passwords too, is seen by this node, and what is public of it is kept and \
         shared (webcache.intercept)"
    );
    Ok(Some(authority))
}

/// Each client of the proxy may need three files: many systems let a process open 1024 of them
/// unless it asks for more.
fn more_files() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(soft, hard)| {
        let most = hard.min(MOST_FILES);
        match soft < most {
            true => setrlimit(Resource::RLIMIT_NOFILE, most, hard),
            false => Ok(()),
        }
    });
    // Then it has fewer places for clients.
    if let Err(error) = raised {
        tracing::info!(%error, "no more files may be open than before");
    }
}

#[cfg(test)]
mod tests {
    use webcache::Hosts;

    use super::*;

    #[test]
    fn there_is_a_key_while_hosts_are_listed() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::at(folder.path());
        let settings = |port, hosts: &[&str]| {
            let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
            WebCache {
                port,
                intercept: Hosts::parse(&hosts).unwrap(),
                ..WebCache::default()
            }
        };
        let found = |port, hosts: &[&str]| {
            let found = authority(&home, &settings(port, hosts)).unwrap();
            let is_kept = home.web_cache_authority().exists();
            (found.map(|authority| authority.fingerprint()), is_kept)
        };
        assert_eq!(found(3128, &[]), (None, false));
        assert_eq!(found(0, &["a.example"]), (None, false));
        let (first, is_kept) = found(3128, &["a.example"]);
        assert!(first.is_some() && is_kept);
        // A node that has no proxy for once forgets nothing.
        assert_eq!(found(0, &["a.example"]), (None, true));
        assert_eq!(found(3128, &["a.example"]), (first.clone(), true));
        assert_eq!(found(3128, &[]), (None, false));
        let (second, _) = found(3128, &["a.example"]);
        assert!(second.is_some() && second != first);
    }
}
