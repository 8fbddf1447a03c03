//! Building and installing the peers.
//!
//! All of it goes into one folder below cargo's target folder. What is pinned is in `go.sum`,
//! `package-lock.json` and `requirements.txt`; a copy of it beside the result says what the
//! result was made from, so nothing is installed twice.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, bail};

use crate::{cell::Peer, runtime::Runtime};

/// The package of kubo's program; its version stands in `kubo/go.mod`.
const KUBO: &str = "github.com/ipfs/kubo/cmd/ipfs";

/// How a peer is started.
#[derive(Clone, Debug)]
pub struct Program {
    /// The program.
    pub path: PathBuf,
    /// What stands before the peer's own arguments.
    pub args: Vec<OsString>,
}

/// Why a peer cannot be built on this machine, in one line; none if it can.
pub fn missing(peer: Peer) -> Option<String> {
    let tools: &[(&str, &[&str])] = match peer {
        Peer::Go | Peer::Kubo => &[("go", &["version"])],
        Peer::Js => &[("node", &["--version"]), ("npm", &["--version"])],
        // Its Node comes with Python's packages where the machine's is too old.
        Peer::Helia if Runtime::is_there() => &[],
        Peer::Py | Peer::Helia => &[("python3", &["-c", "import venv, ensurepip"])],
    };
    tools.iter().find_map(|(tool, args)| {
        let found = Command::new(tool)
            .args(*args)
            .stdin(Stdio::null())
            .output()
            .is_ok_and(|output| output.status.success());
        (!found).then(|| format!("`{tool} {}` does not work", args.join(" ")))
    })
}

/// Builds or installs a peer whose sources are in `sources/NAME` into `into/NAME`.
pub fn prepare(peer: Peer, sources: &Path, into: &Path) -> anyhow::Result<Program> {
    let into = into.join(peer.name());
    std::fs::create_dir_all(&into).with_context(|| format!("cannot make {}", into.display()))?;
    let own = sources.join(peer.name());
    match peer {
        Peer::Go => go(&own, &into),
        Peer::Js => js(&own, &into),
        Peer::Py => py(&own, &into),
        Peer::Kubo => kubo(&own, &into),
        Peer::Helia => helia(&own, &sources.join(Peer::Js.name()), &into),
    }
}

fn go(sources: &Path, into: &Path) -> anyhow::Result<Program> {
    Ok(Program {
        path: go_build(".", sources, &into.join("peer"))?,
        args: Vec::new(),
    })
}

/// The program `ipfs` out of the module proxy, and the one that drives it.
fn kubo(sources: &Path, into: &Path) -> anyhow::Result<Program> {
    let ipfs = go_build(KUBO, sources, &into.join("ipfs"))?;
    Ok(Program {
        path: go_build(".", sources, &into.join("peer"))?,
        args: vec!["--ipfs".into(), ipfs.into()],
    })
}

fn go_build(package: &str, sources: &Path, into: &Path) -> anyhow::Result<PathBuf> {
    // Go knows itself what has changed.
    let mut build = Command::new("go");
    build
        .args(["build", "-trimpath", "-mod=readonly", "-o"])
        .arg(into)
        .arg(package)
        .current_dir(sources);
    run(build)?;
    Ok(into.to_owned())
}

fn js(sources: &Path, into: &Path) -> anyhow::Result<Program> {
    npm(sources, into, &Runtime::of_the_machine())
}

/// A Helia is a js-libp2p peer with blocks: what the two have in common is taken from there.
fn helia(sources: &Path, js: &Path, into: &Path) -> anyhow::Result<Program> {
    let node = Runtime::find(&sources.join("requirements.txt"), &into.join("node"))?;
    copy(js, into, |name| matches!(name, "line.js" | "peer.js"))?;
    npm(sources, into, &node)
}

/// Installs a package of ours and what it depends on.
fn npm(sources: &Path, into: &Path, runtime: &Runtime) -> anyhow::Result<Program> {
    copy(sources, into, |name| {
        name.ends_with(".js") || name == "package.json"
    })?;
    once(&sources.join("package-lock.json"), into, || {
        copy(sources, into, |name| name == "package-lock.json")?;
        runtime.install(into)
    })?;
    Ok(Program {
        path: runtime.node.clone(),
        args: vec![into.join("main.js").into()],
    })
}

fn py(sources: &Path, into: &Path) -> anyhow::Result<Program> {
    let list = sources.join("requirements.txt");
    once(&list, into, || venv(&list, into))?;
    Ok(Program {
        path: into.join("venv/bin/python"),
        args: vec!["-B".into(), sources.join("main.py").into()],
    })
}

/// Makes an environment of Python with the packages of a list in it: `into/venv`.
pub(crate) fn venv(list: &Path, into: &Path) -> anyhow::Result<()> {
    let venv = into.join("venv");
    let mut make = Command::new("python3");
    make.args(["-m", "venv", "--clear"]).arg(&venv);
    run(make)?;
    let mut install = Command::new(venv.join("bin/pip"));
    install
        .args(["install", "--quiet", "--no-deps", "--requirement"])
        .arg(list);
    run(install)
}

/// Installs unless it was done with the same list before.
pub(crate) fn once(
    list: &Path,
    into: &Path,
    install: impl FnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let stamp = into.join("installed");
    let wanted = std::fs::read(list).with_context(|| format!("cannot read {}", list.display()))?;
    if std::fs::read(&stamp).is_ok_and(|found| found == wanted) {
        return Ok(());
    }
    install()?;
    std::fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))
}

fn copy(from: &Path, into: &Path, wanted: impl Fn(&str) -> bool) -> anyhow::Result<()> {
    for entry in
        std::fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))?
    {
        let entry = entry?;
        let name = entry.file_name();
        if name.to_str().is_some_and(&wanted) {
            std::fs::copy(entry.path(), into.join(&name))
                .with_context(|| format!("cannot copy {}", entry.path().display()))?;
        }
    }
    Ok(())
}

pub(crate) fn run(mut command: Command) -> anyhow::Result<()> {
    let name = format!("{command:?}");
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {name}"))?;
    if output.status.success() {
        return Ok(());
    }
    bail!(
        "{name}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}
