//! The node's home: one directory with everything that makes this node this node.
//!
//! ```text
//! HOME/            0700
//!   version        format of this directory, one number
//!   identity.key   0600, the Ed25519 key pair in libp2p's protobuf encoding
//!   config.toml    settings, written by a person, never by the node
//!   api.token      0600, the bearer token of the loopback API
//!   api.sock       0600, the control socket; exists while the node runs
//!   lock           held while the node runs; names the holder's process
//!   peers.json     peers remembered from earlier runs
//!   aliases        this node's names for other people's keys
//!   archive.prefixes  names that are archived by themselves
//!   s3.keys        0600, access keys of the S3 door with their secrets
//!   uploads/       S3 uploads in parts that are under way
//!   webcache/      answers of web servers
//!   webcache-ca/   0700, the authority for hosts whose https is intercepted, with its key
//!   store/         blocks, records, the newest versions of objects, fragments of archives, pins
//! ```

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Seek, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use data_encoding::HEXLOWER;
use etcetera::BaseStrategy;
use libp2p::identity::{DecodingError, Keypair};

/// Format of the home directory written by this version.
pub const FORMAT: u32 = 1;

/// Environment variable that names the home; `--home` wins over it.
pub const HOME_VARIABLE: &str = "HEDGEROW_HOME";

/// Random bytes in the API token: out of reach of guessing.
const TOKEN_BYTES: usize = 32;

/// Longest key file that is read: RSA-4096 pairs, the largest kind, stay below.
const MAX_KEY_FILE: u64 = 16 * 1024;

/// Longest path of a unix socket that Linux accepts (`sun_path` without its final zero).
const MAX_SOCKET_PATH: usize = 107;

/// Why a home could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// No home was named and the environment has no home directory either.
    #[error("no home directory is known for this user: name one with --home or {HOME_VARIABLE}")]
    Unknown,
    /// A file of the home could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or directory in question.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another node holds the lock.
    #[error("home {} is in use by another node{}", home.display(), holder.map_or(String::new(), |pid| format!(" (process {pid})")))]
    Locked {
        /// The home in question.
        home: PathBuf,
        /// Process id of the holder, as it wrote it into the lock file.
        holder: Option<u32>,
    },
    /// The home was written by a version with another format.
    #[error(
        "home {} has format {found:?}, this version reads format {FORMAT}: \
         use the version of hedgerow that made it, or another home", home.display()
    )]
    Format {
        /// The home in question.
        home: PathBuf,
        /// What its version file says.
        found: String,
    },
    /// The key file is not a key.
    #[error("{} is not a usable key: {source}", path.display())]
    Key {
        /// The key file.
        path: PathBuf,
        /// What is wrong with it.
        source: DecodingError,
    },
    /// The path of the control socket is longer than the system allows.
    #[error("{} is too long for a unix socket ({MAX_SOCKET_PATH} bytes at most): choose a shorter home", .0.display())]
    SocketPath(PathBuf),
}

/// Where a home is; says nothing about whether it exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home {
    root: PathBuf,
}

impl Home {
    /// The home in `root`.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The home a person meant: the flag, else [`HOME_VARIABLE`], else
    /// `$XDG_DATA_HOME/hedgerow`.
    pub fn resolve(flag: Option<&Path>) -> Result<Self, HomeError> {
        let named = flag.map(Path::to_owned).or_else(|| {
            std::env::var_os(HOME_VARIABLE)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        });
        if let Some(root) = named {
            // A relative path would mean another directory after a change of directory.
            let root = std::path::absolute(&root).map_err(|source| HomeError::Io {
                path: root.clone(),
                source,
            })?;
            return Ok(Self { root });
        }
        let base = etcetera::choose_base_strategy().map_err(|_| HomeError::Unknown)?;
        Ok(Self {
            root: base.data_dir().join("hedgerow"),
        })
    }

    /// The directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The settings file.
    pub fn config_file(&self) -> PathBuf {
        self.root.join("config.toml")
    }

    /// The control socket.
    pub fn socket(&self) -> PathBuf {
        self.root.join("api.sock")
    }

    /// The bearer token of the loopback API.
    pub fn token_file(&self) -> PathBuf {
        self.root.join("api.token")
    }

    /// The objects that are provided in Kademlia, a CID a line.
    pub fn provided_file(&self) -> PathBuf {
        self.root.join("provided")
    }

    /// Names that are archived by themselves.
    pub fn archive_prefixes_file(&self) -> PathBuf {
        self.root.join("archive.prefixes")
    }

    /// This node's names for other people's keys.
    pub fn aliases_file(&self) -> PathBuf {
        self.root.join("aliases")
    }

    /// The access keys of the S3 door.
    pub fn s3_keys_file(&self) -> PathBuf {
        self.root.join("s3.keys")
    }

    /// The directory of uploads in parts that are under way.
    pub fn uploads(&self) -> PathBuf {
        self.root.join("uploads")
    }

    /// The peers remembered from earlier runs.
    pub fn peers_file(&self) -> PathBuf {
        self.root.join("peers.json")
    }

    /// The directory of the embedded stores.
    pub fn store(&self) -> PathBuf {
        self.root.join("store")
    }

    /// The directory of copies that can be dropped.
    pub fn cache(&self) -> PathBuf {
        self.root.join("cache")
    }

    /// Answers of web servers.
    pub fn web_cache(&self) -> PathBuf {
        self.root.join("webcache")
    }

    /// The authority for hosts whose `https` is intercepted.
    pub fn web_cache_authority(&self) -> PathBuf {
        self.root.join("webcache-ca")
    }

    /// The key pair's file.
    pub fn key_file(&self) -> PathBuf {
        self.root.join("identity.key")
    }

    fn lock_file(&self) -> PathBuf {
        self.root.join("lock")
    }

    fn version_file(&self) -> PathBuf {
        self.root.join("version")
    }

    /// Makes the home if it is new, takes its lock, and reads or makes key and token.
    pub fn open(&self) -> Result<OpenHome, HomeError> {
        if self.socket().as_os_str().len() > MAX_SOCKET_PATH {
            return Err(HomeError::SocketPath(self.socket()));
        }
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.root)
            .and_then(|()| fs::set_permissions(&self.root, fs::Permissions::from_mode(0o700)))
            .map_err(|source| HomeError::Io {
                path: self.root.clone(),
                source,
            })?;
        let lock = self.lock()?;
        self.check_format()?;
        let keypair = self.load_or_make_key()?;
        let token = self.load_or_make_token()?;
        Ok(OpenHome {
            home: self.clone(),
            keypair,
            token,
            _lock: lock,
        })
    }

    /// Whether a node holds this home's lock now.
    pub fn is_locked(&self) -> bool {
        let Ok(file) = File::open(self.lock_file()) else {
            return false;
        };
        matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
    }

    /// The token of the loopback API, if the home has one.
    pub fn read_token(&self) -> Result<String, HomeError> {
        let path = self.token_file();
        fs::read_to_string(&path)
            .map(|text| text.trim().to_owned())
            .map_err(|source| HomeError::Io { path, source })
    }

    fn lock(&self) -> Result<File, HomeError> {
        let path = self.lock_file();
        let io = |source| HomeError::Io {
            path: path.clone(),
            source,
        };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                // The holder may be between locking and writing its id; then nobody is named.
                let _ = file.take(32).read_to_string(&mut text);
                return Err(HomeError::Locked {
                    home: self.root.clone(),
                    holder: text.trim().parse().ok(),
                });
            }
            Err(TryLockError::Error(source)) => return Err(io(source)),
        }
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()))
            .map_err(io)?;
        Ok(file)
    }

    fn check_format(&self) -> Result<(), HomeError> {
        let path = self.version_file();
        match fs::read_to_string(&path) {
            Ok(text) if text.trim() == FORMAT.to_string() => Ok(()),
            Ok(text) => {
                let found = text.trim().chars().take(32).collect();
                Err(HomeError::Format {
                    home: self.root.clone(),
                    found,
                })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                write_atomically(&path, format!("{FORMAT}\n").as_bytes(), 0o600)
            }
            Err(source) => Err(HomeError::Io { path, source }),
        }
    }

    fn load_or_make_key(&self) -> Result<Keypair, HomeError> {
        let path = self.key_file();
        match File::open(&path) {
            Ok(file) => {
                let mut bytes = Vec::new();
                file.take(MAX_KEY_FILE)
                    .read_to_end(&mut bytes)
                    .and_then(|_| fs::set_permissions(&path, fs::Permissions::from_mode(0o600)))
                    .map_err(|source| HomeError::Io {
                        path: path.clone(),
                        source,
                    })?;
                Keypair::from_protobuf_encoding(&bytes)
                    .map_err(|source| HomeError::Key { path, source })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let keypair = Keypair::generate_ed25519();
                let bytes = keypair
                    .to_protobuf_encoding()
                    .map_err(|source| HomeError::Key {
                        path: path.clone(),
                        source,
                    })?;
                write_atomically(&path, &bytes, 0o600)?;
                Ok(keypair)
            }
            Err(source) => Err(HomeError::Io { path, source }),
        }
    }

    fn load_or_make_token(&self) -> Result<String, HomeError> {
        if let Ok(token) = self.read_token()
            && token.len() >= TOKEN_BYTES
        {
            return Ok(token);
        }
        let token = HEXLOWER.encode(&rand::random::<[u8; TOKEN_BYTES]>());
        write_atomically(&self.token_file(), format!("{token}\n").as_bytes(), 0o600)?;
        Ok(token)
    }
}

/// A home that this process holds; dropping it lets the next one in.
#[derive(Debug)]
pub struct OpenHome {
    /// Where it is.
    pub home: Home,
    /// The node's identity.
    pub keypair: Keypair,
    /// The bearer token of the loopback API.
    pub token: String,
    _lock: File,
}

/// Replaces `path` by `bytes` so that a reader, and the disk after a crash, sees
/// either the old content or the new one.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8], mode: u32) -> Result<(), HomeError> {
    let io = |source| HomeError::Io {
        path: path.to_owned(),
        source,
    };
    let temporary = path.with_extension("new");
    // A leftover of a crash may have other permissions; `mode` works on new files only.
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io(error)),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&temporary)
        .map_err(io)?;
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .map_err(io)?;
    fs::rename(&temporary, path).map_err(io)?;
    if let Some(parent) = path.parent() {
        File::open(parent)
            .and_then(|directory| directory.sync_all())
            .map_err(io)?;
    }
    Ok(())
}
