//! The authority on disk: one file, so that its key and its certificate are of each other (Q47).

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use data_encoding::BASE64;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, pem::PemObject};

use super::Hosts;

const NAME: &str = "authority.pem";

/// Longest file that is read: 128 hosts stand in it twice.
const MAX_FILE: u64 = 256 * 1024;

const HOSTS: &str = "hosts: ";
const UNTIL: &str = "until: ";

/// What is written down of an authority.
pub(super) struct Written {
    pub(super) hosts: Hosts,
    pub(super) until: SystemTime,
    pub(super) certificate: CertificateDer<'static>,
    pub(super) key: Vec<u8>,
}

pub(super) fn path(folder: &Path) -> PathBuf {
    folder.join(NAME)
}

/// `Ok(None)` when there is none, `Ok(Some(None))` when it cannot be understood.
pub(super) fn read(folder: &Path) -> io::Result<Option<Option<Written>>> {
    let file = match File::open(path(folder)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    // Whatever somebody has made of it meanwhile.
    fs::set_permissions(folder, Permissions::from_mode(0o700))?;
    file.set_permissions(Permissions::from_mode(0o600))?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE).read_to_end(&mut bytes)?;
    Ok(Some(understood(&bytes)))
}

fn understood(bytes: &[u8]) -> Option<Written> {
    let text = std::str::from_utf8(bytes).ok()?;
    let line = |name| text.lines().find_map(|line| line.strip_prefix(name));
    let hosts: Vec<String> = line(HOSTS)?.split(' ').map(str::to_owned).collect();
    let until = Duration::from_secs(line(UNTIL)?.parse().ok()?);
    let key = PrivatePkcs8KeyDer::from_pem_slice(bytes).ok()?;
    Some(Written {
        hosts: Hosts::parse(&hosts).ok()?,
        until: SystemTime::UNIX_EPOCH.checked_add(until)?,
        certificate: CertificateDer::from_pem_slice(bytes).ok()?,
        key: key.secret_pkcs8_der().to_vec(),
    })
}

/// Writes it: whole or not at all, and for this user's eyes only.
pub(super) fn write(folder: &Path, written: &Written) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700).create(folder)?;
    fs::set_permissions(folder, Permissions::from_mode(0o700))?;
    let part = folder.join("authority.part");
    match fs::remove_file(&part) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&part)?;
    let until = written.until.duration_since(SystemTime::UNIX_EPOCH);
    let text = format!(
        "{HOSTS}{}\n{UNTIL}{}\n{}{}",
        written.hosts.texts().join(" "),
        until.unwrap_or_default().as_secs(),
        pem("CERTIFICATE", &written.certificate),
        pem("PRIVATE KEY", &written.key),
    );
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&part, path(folder))?;
    File::open(folder)?.sync_all()
}

/// Removes the key and all that is beside it; says whether there was one.
pub(super) fn remove(folder: &Path) -> io::Result<bool> {
    match fs::remove_dir_all(folder) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// RFC 7468.
pub(super) fn pem(label: &str, der: &[u8]) -> String {
    let coded = BASE64.encode(der);
    let lines = coded.as_bytes().chunks(64).map(String::from_utf8_lossy);
    let lines: String = lines.map(|line| format!("{line}\n")).collect();
    format!("-----BEGIN {label}-----\n{lines}-----END {label}-----\n")
}
