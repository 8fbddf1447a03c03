//! An authority of this machine's own, which vouches for the hosts that a person has listed, so
//! that their `https` can be read here and kept (Q46, Q47).

mod file;
mod hosts;

use std::{
    fmt, io,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use data_encoding::HEXLOWER;
use lru::LruCache;
use parking_lot::Mutex;
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, KeyPair, KeyUsagePurpose, NameConstraints,
    PKCS_ECDSA_P256_SHA256, date_time_ymd,
};
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use sha2::{Digest, Sha256};
use thiserror::Error;

pub use hosts::{Hosts, NotAHost};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How long an authority counts, and how long before its end a new one is made.
const VALID: Duration = DAY.saturating_mul(730);
const RENEWED_BEFORE: Duration = DAY.saturating_mul(60);

/// How long the certificate of a host counts, and how long it is given to clients.
const HOST_VALID: Duration = DAY.saturating_mul(30);
const HOST_GIVEN: Duration = DAY.saturating_mul(15);

/// So much may the clocks of clients be behind: they are on this machine, or its guests.
const SKEW: Duration = DAY;

/// Certificates of hosts that are in memory: one of a wildcard has many.
const MAX_KEPT: NonZeroUsize = NonZeroUsize::new(256).expect("256 is not 0");

/// An authority, with its key.
pub struct Authority {
    hosts: Hosts,
    until: SystemTime,
    certificate: CertificateDer<'static>,
    /// As it signs: its own certificate again, for the name and the key's number in it.
    issuer: rcgen::Certificate,
    key: KeyPair,
    given: Mutex<LruCache<String, Given>>,
}

impl fmt::Debug for Authority {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority")
            .field("hosts", &self.hosts)
            .field("until", &self.until)
            .finish_non_exhaustive()
    }
}

/// What clients of a host are answered with.
#[derive(Debug)]
struct Given {
    config: Arc<ServerConfig>,
    until: SystemTime,
}

/// Why there is no authority.
#[derive(Debug, Error)]
pub enum AuthorityError {
    /// Its file cannot be read or written.
    #[error("the authority of the web cache, {}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A certificate could not be made.
    #[error("a certificate of the web cache: {0}")]
    Certificate(String),
    /// It counts no more.
    #[error("the web cache's authority has run out: start the node again, which makes a new one")]
    Over,
}

impl Authority {
    /// The authority of a folder for these hosts, which is made if there is none, or if there is
    /// one for others or one that soon counts no more.
    ///
    /// # Errors
    /// When the folder cannot be read or written.
    pub fn open(folder: &Path, hosts: &Hosts) -> Result<Authority, AuthorityError> {
        Authority::open_at(folder, hosts, SystemTime::now())
    }

    fn open_at(folder: &Path, hosts: &Hosts, now: SystemTime) -> Result<Authority, AuthorityError> {
        let at_file = |source| AuthorityError::File {
            path: file::path(folder),
            source,
        };
        let why = match file::read(folder).map_err(at_file)? {
            None => "there was none",
            Some(None) => "the one that was there could not be read",
            Some(Some(written)) if written.hosts != *hosts => "other hosts are listed than before",
            Some(Some(written)) if written.until < now + RENEWED_BEFORE => "the old one runs out",
            Some(Some(written)) => match Authority::of(written) {
                Ok(authority) => return Ok(authority),
                Err(_) => "the key of the one that was there could not be used",
            },
        };
        let made = make(hosts, now)?;
        file::write(folder, &made).map_err(at_file)?;
        tracing::warn!(
            why,
            "the web cache has a new authority: clients have to be told to trust it, and to trust \
             an earlier one no more: hedgerow cache ca"
        );
        Authority::of(made)
    }

    /// Removes the authority of a folder, with its key; says whether there was one.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove(folder: &Path) -> Result<bool, AuthorityError> {
        file::remove(folder).map_err(|source| AuthorityError::File {
            path: folder.to_owned(),
            source,
        })
    }

    fn of(written: file::Written) -> Result<Authority, AuthorityError> {
        let key = PrivatePkcs8KeyDer::from(written.key);
        let key = KeyPair::from_pkcs8_der_and_sign_algo(&key, &PKCS_ECDSA_P256_SHA256);
        let key = key.map_err(not_made)?;
        let issuer = params(&written.hosts, &key, written.until);
        Ok(Authority {
            issuer: issuer.self_signed(&key).map_err(not_made)?,
            hosts: written.hosts,
            until: written.until,
            certificate: written.certificate,
            key,
            given: Mutex::new(LruCache::new(MAX_KEPT)),
        })
    }

    /// The hosts that it vouches for.
    pub fn hosts(&self) -> &Hosts {
        &self.hosts
    }

    /// When it counts no more.
    pub fn until(&self) -> SystemTime {
        self.until
    }

    /// Its certificate, as clients read it.
    pub fn pem(&self) -> String {
        file::pem("CERTIFICATE", &self.certificate)
    }

    /// SHA-256 of its certificate in hexadecimal digits, by which people compare certificates.
    pub fn fingerprint(&self) -> String {
        HEXLOWER.encode(&Sha256::digest(&self.certificate))
    }

    /// How TLS of a host is answered here, which has to be a listed one, in lower case.
    pub(crate) fn answers_for(&self, host: &str) -> Result<Arc<ServerConfig>, AuthorityError> {
        self.answers_at(host, SystemTime::now())
    }

    fn answers_at(&self, host: &str, now: SystemTime) -> Result<Arc<ServerConfig>, AuthorityError> {
        if now >= self.until {
            return Err(AuthorityError::Over);
        }
        let mut given = self.given.lock();
        if let Some(given) = given.get(host).filter(|given| now < given.until) {
            return Ok(Arc::clone(&given.config));
        }
        let config = Arc::new(self.config(host, now)?);
        let until = (now + HOST_GIVEN).min(self.until);
        let made = Given {
            config: Arc::clone(&config),
            until,
        };
        given.put(host.to_owned(), made);
        Ok(config)
    }

    fn config(&self, host: &str, now: SystemTime) -> Result<ServerConfig, AuthorityError> {
        let key = KeyPair::generate().map_err(not_made)?;
        let certificate = self.certificate_of(host, &key, now)?;
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let key = aws_lc_rs::sign::any_supported_type(&key).map_err(not_made)?;
        let only = Only {
            host: host.to_owned(),
            key: Arc::new(CertifiedKey::new(vec![certificate], key)),
        };
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(not_made)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(only));
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }

    fn certificate_of(
        &self,
        host: &str,
        key: &KeyPair,
        now: SystemTime,
    ) -> Result<CertificateDer<'static>, AuthorityError> {
        let mut params = CertificateParams::new([host.to_owned()]).map_err(not_made)?;
        params.distinguished_name = DistinguishedName::new();
        let name = &mut params.distinguished_name;
        name.push(DnType::OrganizationName, "intercepted by Hedgerow");
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        params.not_before = date_time_ymd(1970, 1, 1) + since_1970(now - SKEW);
        params.not_after =
            date_time_ymd(1970, 1, 1) + since_1970((now + HOST_VALID).min(self.until));
        let made = params.signed_by(key, &self.issuer, &self.key);
        Ok(made.map_err(not_made)?.der().clone())
    }
}

/// A new authority, with a key that nobody has seen.
fn make(hosts: &Hosts, now: SystemTime) -> Result<file::Written, AuthorityError> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(not_made)?;
    let until = now + VALID;
    let made = params(hosts, &key, until).self_signed(&key);
    Ok(file::Written {
        hosts: hosts.clone(),
        until,
        certificate: made.map_err(not_made)?.der().clone(),
        key: key.serialize_der(),
    })
}

/// What stands in the certificate of an authority. It can vouch for servers with the listed names
/// and for nothing else, whoever gets hold of its key: clients see to that.
fn params(hosts: &Hosts, key: &KeyPair, until: SystemTime) -> CertificateParams {
    let number = Sha256::digest(key.public_key_der());
    let number = HEXLOWER.encode(&number[..4]);
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    let name = &mut params.distinguished_name;
    name.push(DnType::OrganizationName, "Hedgerow");
    // Each its own, so that none is taken for an earlier one.
    let common = format!("web cache of this machine, {number}");
    name.push(DnType::CommonName, common);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let names = hosts.subtrees().into_iter().map(GeneralSubtree::DnsName);
    params.name_constraints = Some(NameConstraints {
        permitted_subtrees: names.collect(),
        // What is permitted of names says nothing of addresses.
        excluded_subtrees: vec![
            GeneralSubtree::IpAddress(CidrSubnet::V4([0; 4], [0; 4])),
            GeneralSubtree::IpAddress(CidrSubnet::V6([0; 16], [0; 16])),
        ],
    });
    params.not_before = date_time_ymd(1970, 1, 1) + since_1970(until - VALID - SKEW);
    params.not_after = date_time_ymd(1970, 1, 1) + since_1970(until);
    params
}

/// Certificates count in whole seconds.
fn since_1970(time: SystemTime) -> Duration {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    Duration::from_secs(since.unwrap_or_default().as_secs())
}

fn not_made(error: impl fmt::Display) -> AuthorityError {
    AuthorityError::Certificate(error.to_string())
}

/// A host's certificate, for who asks for that host, or says no name at all.
#[derive(Debug)]
struct Only {
    host: String,
    key: Arc<CertifiedKey>,
}

impl ResolvesServerCert for Only {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name();
        let is_right = name.is_none_or(|name| name.eq_ignore_ascii_case(&self.host));
        is_right.then(|| Arc::clone(&self.key))
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use rustls::{
        RootCertStore,
        client::{WebPkiServerVerifier, danger::ServerCertVerifier},
        pki_types::{ServerName, UnixTime},
    };

    use super::*;

    fn hosts(entries: &[&str]) -> Hosts {
        let entries: Vec<String> = entries.iter().map(|entry| (*entry).to_owned()).collect();
        Hosts::parse(&entries).unwrap()
    }

    /// What a client says that trusts the authority, of a certificate for a host.
    fn checked(authority: &Authority, host: &str, at: SystemTime) -> Result<(), rustls::Error> {
        let mut roots = RootCertStore::empty();
        roots.add(authority.certificate.clone()).unwrap();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider);
        let key = KeyPair::generate().unwrap();
        let certificate = authority.certificate_of(host, &key, at).unwrap();
        let name = ServerName::try_from(host.to_owned()).unwrap();
        let at = UnixTime::since_unix_epoch(since_1970(at));
        let verifier = verifier.build().unwrap();
        let verified = verifier.verify_server_cert(&certificate, &[], &name, &[], at);
        verified.map(|_| ())
    }

    #[test]
    fn clients_believe_it_of_listed_hosts_alone() {
        let folder = tempfile::tempdir().unwrap();
        let listed = hosts(&["a.example", "*.b.example", "c.example:8443"]);
        let authority = Authority::open(folder.path(), &listed).unwrap();
        let now = SystemTime::now();
        for host in ["a.example", "x.b.example", "c.example"] {
            checked(&authority, host, now).unwrap();
            checked(&authority, host, now + HOST_VALID - DAY).unwrap();
        }
        for host in ["d.example", "xa.example", "example", "127.0.0.1", "::1"] {
            let error = checked(&authority, host, now).unwrap_err();
            let why = error.to_string();
            assert!(why.to_lowercase().contains("constraint"), "{host}: {why}");
        }
    }

    #[test]
    fn it_is_the_same_until_other_hosts_are_listed_or_it_runs_out() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("ca");
        let (one, other) = (hosts(&["a.example"]), hosts(&["a.example", "b.example"]));
        let now = SystemTime::now();
        let open = |hosts: &Hosts, at| Authority::open_at(&folder, hosts, at).unwrap();
        let first = open(&one, now);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&folder), 0o700);
        assert_eq!(mode(&file::path(&folder)), 0o600);
        fs::set_permissions(file::path(&folder), fs::Permissions::from_mode(0o644)).unwrap();
        let again = open(&one, now + VALID - RENEWED_BEFORE - DAY);
        assert_eq!(again.fingerprint(), first.fingerprint());
        assert_eq!(mode(&file::path(&folder)), 0o600);
        // With the key read from the file it signs as before.
        checked(&again, "a.example", now).unwrap();
        assert!(checked(&again, "b.example", now).is_err());
        let renewed = open(&one, now + VALID - RENEWED_BEFORE + DAY);
        assert_ne!(renewed.fingerprint(), first.fingerprint());
        let changed = open(&other, now);
        assert_ne!(changed.fingerprint(), renewed.fingerprint());
        checked(&changed, "b.example", now).unwrap();
        let text = fs::read_to_string(file::path(&folder)).unwrap();
        for damaged in [&text[..text.len() / 2], "", "hosts: *\nuntil: 1\n"] {
            fs::write(file::path(&folder), damaged).unwrap();
            let made = open(&other, now);
            assert_ne!(made.fingerprint(), changed.fingerprint());
        }
        assert!(Authority::remove(&folder).unwrap());
        assert!(!folder.exists());
        assert!(!Authority::remove(&folder).unwrap());
    }

    #[test]
    fn certificates_of_hosts_are_kept_for_a_while() {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::open(folder.path(), &hosts(&["*.a.example"])).unwrap();
        let now = SystemTime::now();
        let first = authority.answers_at("0.a.example", now).unwrap();
        let soon = authority.answers_at("0.a.example", now + DAY).unwrap();
        assert!(Arc::ptr_eq(&first, &soon));
        let late = authority
            .answers_at("0.a.example", now + HOST_GIVEN)
            .unwrap();
        assert!(!Arc::ptr_eq(&first, &late));
        for number in 0..=MAX_KEPT.get() {
            let host = format!("{number}.a.example");
            authority.answers_at(&host, now).unwrap();
        }
        assert_eq!(authority.given.lock().len(), MAX_KEPT.get());
        let over = authority.answers_at("0.a.example", now + VALID);
        assert!(matches!(over, Err(AuthorityError::Over)));
    }
}
