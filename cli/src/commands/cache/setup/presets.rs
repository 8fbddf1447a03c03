//! The clients: which file is whose, and what people should know.

use std::{ffi::OsString, path::PathBuf};

use super::{
    apt::Apt,
    edit::Format,
    go::Go,
    maven::Maven,
    npm::Npm,
    pip::Pip,
    toml::{Cargo, Containerd},
};
use crate::{args::CacheClient, exit::Failure};

/// A client and its file.
pub(super) struct Preset {
    pub(super) client: CacheClient,
    pub(super) file: PathBuf,
    pub(super) format: &'static dyn Format,
    /// Permissions of the file if it is new, less the umask.
    pub(super) mode: u32,
    /// Whether it is the machine's and not a person's.
    pub(super) is_of_machine: bool,
    /// Variables that go before what is in the file.
    pub(super) overridden_by: &'static [&'static str],
    pub(super) notes: &'static [&'static str],
}

/// Where things are for this person.
pub(super) struct Places<'a> {
    pub(super) variable: &'a dyn Fn(&str) -> Option<OsString>,
    pub(super) home: PathBuf,
    /// `/etc`.
    pub(super) etc: PathBuf,
}

impl Places<'_> {
    fn named(&self, variable: &str) -> Option<PathBuf> {
        let value = (self.variable)(variable).filter(|value| !value.is_empty());
        value.map(PathBuf::from)
    }

    fn config(&self) -> PathBuf {
        let named = self
            .named("XDG_CONFIG_HOME")
            .filter(|path| path.is_absolute());
        named.unwrap_or_else(|| self.home.join(".config"))
    }

    fn pip(&self) -> PathBuf {
        let named = self.named("PIP_CONFIG_FILE");
        named.unwrap_or_else(|| self.config().join("pip/pip.conf"))
    }

    fn npm(&self) -> PathBuf {
        let named = ["npm_config_userconfig", "NPM_CONFIG_USERCONFIG"];
        let named = named.iter().find_map(|name| self.named(name));
        named.unwrap_or_else(|| self.home.join(".npmrc"))
    }

    /// Where both are there, cargo reads the one without an extension.
    fn cargo(&self) -> PathBuf {
        let home = self.named("CARGO_HOME");
        let home = home.unwrap_or_else(|| self.home.join(".cargo"));
        let old = home.join("config");
        match old.is_file() {
            true => old,
            false => home.join("config.toml"),
        }
    }

    fn go(&self) -> Result<PathBuf, Failure> {
        match self.named("GOENV") {
            Some(path) if path.as_os_str() == "off" => {
                Err(Failure::usage("GOENV=off has Go read no settings")
                    .with_hint("unset GOENV and try again"))
            }
            Some(path) => Ok(path),
            None => Ok(self.config().join("go/env")),
        }
    }
}

impl CacheClient {
    pub(super) fn preset(self, places: &Places<'_>) -> Result<Preset, Failure> {
        let file = match self {
            Self::Pip => places.pip(),
            Self::Npm => places.npm(),
            Self::Cargo => places.cargo(),
            Self::Go => places.go()?,
            Self::Apt => places.etc.join("apt/apt.conf.d/01hedgerow"),
            Self::Maven => places.home.join(".m2/settings.xml"),
            Self::Oci => places.etc.join("containerd/certs.d/docker.io/hosts.toml"),
        };
        Ok(Preset {
            client: self,
            file,
            format: self.format(),
            mode: match self {
                // It may come to hold tokens.
                Self::Npm | Self::Maven => 0o600,
                _ => 0o666,
            },
            is_of_machine: matches!(self, Self::Apt | Self::Oci),
            overridden_by: self.overridden_by(),
            notes: self.notes(),
        })
    }

    fn format(self) -> &'static dyn Format {
        match self {
            Self::Pip => &Pip,
            Self::Npm => &Npm,
            Self::Cargo => &Cargo,
            Self::Go => &Go,
            Self::Apt => &Apt,
            Self::Maven => &Maven,
            Self::Oci => &Containerd,
        }
    }

    fn overridden_by(self) -> &'static [&'static str] {
        match self {
            Self::Pip => &["PIP_INDEX_URL"],
            Self::Npm => &["npm_config_registry", "NPM_CONFIG_REGISTRY"],
            Self::Cargo => &["CARGO_SOURCE_CRATES_IO_REPLACE_WITH"],
            Self::Go => &["GOPROXY"],
            Self::Apt | Self::Maven | Self::Oci => &[],
        }
    }

    fn notes(self) -> &'static [&'static str] {
        match self {
            Self::Pip => &[],
            Self::Npm => &[
                "package-lock.json then names no addresses of packages, so that it works without the cache too",
            ],
            Self::Cargo => &[
                "cargo publish, search and owner need --registry crates-io as long as this is set",
            ],
            Self::Go => &["Go goes on without the cache only where it answers 404 or 410"],
            Self::Apt => &[
                "sources with http:// are kept and shared, those with https:// pass through and are not",
            ],
            Self::Maven => &["other repositories than central stay as they are"],
            Self::Oci => &[
                "layers that are asked for with a token pass through and are not kept",
                "for Kubernetes (CRI), containerd's config_path must name the folder certs.d; for ctr, --hosts-dir",
            ],
        }
    }
}
