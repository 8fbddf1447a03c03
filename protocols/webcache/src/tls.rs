//! Who vouches for origins of `https` (Q44).

use std::{
    future::Future,
    io,
    path::{Path, PathBuf},
    pin::Pin,
    sync::{Arc, LazyLock},
    task::{Context, Poll},
    time::Duration,
};

use http::Uri;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, pem::PemObject},
};
use thiserror::Error;
use tower_service::Service;

use crate::body::BoxError;

/// Certificates of the authorities that are believed.
#[derive(Clone, Debug)]
pub struct Roots(Arc<RootCertStore>);

/// A file of certificates cannot be used.
#[derive(Debug, Error)]
#[error(
    "{} is no file of certificates that can be read ({why}): name one in PEM, with -----BEGIN CERTIFICATE-----",
    path.display()
)]
pub struct RootsError {
    path: PathBuf,
    why: String,
}

/// The system's do not change while a node runs.
static SYSTEM: LazyLock<Roots> = LazyLock::new(|| Roots(Arc::new(system())));

fn system() -> RootCertStore {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "root certificates of this machine");
    }
    let mut roots = RootCertStore::empty();
    // Those that are no roots, as some systems have, count for nothing.
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        tracing::warn!(
            "this machine has no root certificates, so the web cache can ask no https server: \
             install ca-certificates, or name a file in SSL_CERT_FILE"
        );
    }
    roots
}

impl Default for Roots {
    /// The system's, or those that the variables `SSL_CERT_FILE` and `SSL_CERT_DIR` name.
    fn default() -> Roots {
        SYSTEM.clone()
    }
}

impl Roots {
    /// The system's, and those of a file: of a company's own authority.
    ///
    /// # Errors
    /// When the file cannot be read, has no certificate, or one that is none of an authority.
    pub fn with_file(path: &Path) -> Result<Roots, RootsError> {
        let error = |why: String| RootsError {
            path: path.to_owned(),
            why,
        };
        let mut roots = RootCertStore::clone(&SYSTEM.0);
        let before = roots.len();
        let found = CertificateDer::pem_file_iter(path).map_err(|why| error(why.to_string()))?;
        for certificate in found {
            let certificate = certificate.map_err(|why| error(why.to_string()))?;
            let added = roots.add(certificate);
            added.map_err(|why| error(why.to_string()))?;
        }
        match roots.len() == before {
            true => Err(error("there is none in it".to_owned())),
            false => Ok(Roots(Arc::new(roots))),
        }
    }

    /// Makes a connector speak TLS where the URL is one of `https`.
    pub(crate) fn secure<C>(&self, connector: C, limit: Duration) -> Timely<HttpsConnector<C>> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider has suites for TLS 1.2 and 1.3")
            .with_root_certificates(Arc::clone(&self.0))
            .with_no_client_auth();
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(config)
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        Timely { connector, limit }
    }
}

/// A connector that gives up: who is connected to may never say anything of TLS.
#[derive(Clone, Debug)]
pub(crate) struct Timely<C> {
    connector: C,
    limit: Duration,
}

impl<C> Service<Uri> for Timely<C>
where
    C: Service<Uri, Error = BoxError>,
    C::Future: Send + 'static,
    C::Response: Send,
{
    type Response = C::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<C::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.connector.poll_ready(context)
    }

    fn call(&mut self, url: Uri) -> Self::Future {
        let (connecting, limit) = (self.connector.call(url), self.limit);
        Box::pin(async move {
            match tokio::time::timeout(limit, connecting).await {
                Ok(connected) => connected,
                Err(_) => Err(io::Error::from(io::ErrorKind::TimedOut).into()),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn files_of_certificates_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        let own = rcgen::generate_simple_self_signed(["a.example".to_owned()]).unwrap();
        fs::write(&path, own.cert.pem()).unwrap();
        let roots = Roots::with_file(&path).unwrap();
        assert_eq!(roots.0.len(), Roots::default().0.len() + 1);
        for wrong in [
            "",
            "not PEM",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        ] {
            fs::write(&path, wrong).unwrap();
            let error = Roots::with_file(&path).unwrap_err().to_string();
            assert!(error.contains("ca.pem"), "{error}");
        }
        assert!(Roots::with_file(&folder.path().join("none")).is_err());
    }
}
