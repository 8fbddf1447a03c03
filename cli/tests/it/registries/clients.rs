//! The package managers. Each gets the tree and all that it needs into a new home, and says what
//! it got of each package.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::machines::{Machines, Package, TREE, run, through};

/// What was got of a package, and what it should be.
pub(crate) struct Got {
    pub(crate) file: PathBuf,
    pub(crate) right: PathBuf,
}

pub(crate) fn pip(machines: &Machines, node: usize, home: &Path) -> Vec<Got> {
    let index = through("pypi.org") + "/simple/";
    pip_with(machines, node, home, &["--index-url", &index])
}

/// With the node for a proxy, whose authority it trusts.
pub(crate) fn pip_by_proxy(machines: &Machines, node: usize, home: &Path) -> Vec<Got> {
    let trusted = home.join("hedgerow-ca.pem");
    let certificate = machines.net().ok(node, &["cache", "ca"]);
    fs::write(&trusted, certificate + "\n").unwrap();
    let trusted = trusted.to_str().unwrap();
    let flags = ["--proxy", "http://127.0.0.1:3128", "--cert", trusted];
    let index = ["--index-url", "https://pypi.org/simple/"];
    pip_with(machines, node, home, &[flags.as_slice(), &index].concat())
}

fn pip_with(machines: &Machines, node: usize, home: &Path, flags: &[&str]) -> Vec<Got> {
    // What is in PATH may be a script that needs its own home.
    let python = Command::new("python3")
        .args(["-c", "import sys; print(sys.executable)"])
        .output();
    let python = String::from_utf8(python.unwrap().stdout).unwrap();
    let mut pip = machines.client(node, python.trim_end(), home);
    pip.args(["-m", "pip", "download", TREE, "--dest", "wheels"])
        .args(flags)
        // The machine's own settings are read whatever the home is.
        .env("PIP_CONFIG_FILE", "/dev/null")
        .env("PIP_DISABLE_PIP_VERSION_CHECK", "1");
    run(pip);
    let got = |package: &Package| Got {
        file: home
            .join("wheels")
            .join(package.url.rsplit('/').next().unwrap()),
        right: package.file.clone(),
    };
    machines.packages.iter().map(got).collect()
}

/// With a lock file that says which versions they are and not where, so that it is right on every
/// machine.
pub(crate) fn npm(machines: &Machines, node: usize, home: &Path) -> Vec<Got> {
    let got = npm_with(machines, node, home, &["--omit-lockfile-registry-resolved"]);
    let lock = fs::read_to_string(machines.shared("package-lock.json")).unwrap();
    assert!(!lock.contains("127.0.0.1"), "{lock}");
    got
}

/// With a lock file that says where in the registry packages are, as one has that was made without
/// a web cache.
pub(crate) fn npm_of_places(machines: &Machines, node: usize, home: &Path) -> Vec<Got> {
    let got = npm_with(machines, node, home, &[]);
    let lock = machines.shared("package-lock.json");
    let made = fs::read_to_string(&lock).unwrap();
    let registry = "registry.npmjs.org";
    let made = made.replace(&through(registry), &format!("https://{registry}"));
    let package = &machines.packages[0];
    assert!(
        made.contains(&package.url) && !made.contains("127.0.0.1"),
        "{made}"
    );
    fs::write(lock, made).unwrap();
    got
}

/// Makes a lock file, or installs what that of the other machine says.
fn npm_with(machines: &Machines, node: usize, home: &Path, flags: &[&str]) -> Vec<Got> {
    let registry = through("registry.npmjs.org") + "/";
    let files = ["package.json", "package-lock.json"];
    let mut npm = machines.client(node, "npm", home);
    match machines.shared(files[1]).exists() {
        true => {
            for name in files {
                fs::copy(machines.shared(name), home.join(name)).unwrap();
            }
            npm.arg("ci");
        }
        false => {
            fs::write(home.join("package.json"), r#"{"name": "test"}"#).unwrap();
            npm.args(["install", TREE]);
        }
    }
    npm.args(["--registry", &registry])
        .args(flags)
        // The machine's own settings are read whatever the home is.
        .env("npm_config_globalconfig", "/dev/null");
    run(npm);
    for name in files {
        fs::copy(home.join(name), machines.shared(name)).unwrap();
    }
    let got = |package: &Package| {
        let folder = home.join("node_modules").join(&package.name);
        Got {
            file: folder.join("payload.bin"),
            right: package.payload.clone(),
        }
    };
    machines.packages.iter().map(got).collect()
}

pub(crate) fn cargo(machines: &Machines, node: usize, home: &Path) -> Vec<Got> {
    let index = through("index.crates.io") + "/";
    let cargo_home = home.join("cargo");
    fs::create_dir_all(home.join("src")).unwrap();
    fs::create_dir(&cargo_home).unwrap();
    fs::write(home.join("src/lib.rs"), "").unwrap();
    let manifest = format!(
        "[package]\nname = \"test\"\nversion = \"0.0.0\"\nedition = \"2021\"\n\
         [dependencies]\n{TREE} = \"1\"\n"
    );
    fs::write(home.join("Cargo.toml"), manifest).unwrap();
    let settings = format!(
        "[source.crates-io]\nreplace-with = \"hedgerow\"\n\
         [source.hedgerow]\nregistry = \"sparse+{index}\"\n"
    );
    fs::write(cargo_home.join("config.toml"), settings).unwrap();
    let mut cargo = machines.client(node, "cargo", home);
    cargo.arg("fetch").env("CARGO_HOME", &cargo_home);
    // What is in PATH may be rustup, which finds the compiler's folder by these.
    let rustup = env::var_os("RUSTUP_HOME").map(PathBuf::from);
    let own = env::home_dir().map(|home| home.join(".rustup"));
    if let Some(rustup) = rustup.or(own) {
        cargo.env("RUSTUP_HOME", rustup);
    }
    if let Some(toolchain) = env::var_os("RUSTUP_TOOLCHAIN") {
        cargo.env("RUSTUP_TOOLCHAIN", toolchain);
    }
    let lock = machines.shared("Cargo.lock");
    if lock.exists() {
        fs::copy(&lock, home.join("Cargo.lock")).unwrap();
        cargo.arg("--locked");
    }
    run(cargo);
    let made = fs::read_to_string(home.join("Cargo.lock")).unwrap();
    assert!(!made.contains("127.0.0.1"), "{made}");
    fs::write(lock, made).unwrap();
    let registries = fs::read_dir(cargo_home.join("registry/cache")).unwrap();
    let folders: Vec<PathBuf> = registries.map(|entry| entry.unwrap().path()).collect();
    let [folder] = folders.as_slice() else {
        panic!("one registry: {folders:?}");
    };
    let got = |package: &Package| Got {
        file: folder.join(format!("{}-{}.crate", package.name, package.version)),
        right: package.file.clone(),
    };
    machines.packages.iter().map(got).collect()
}

pub(crate) fn go(machines: &Machines, node: usize, home: &Path) -> Vec<Got> {
    let packages = machines.packages.iter();
    let needs: String = packages
        .map(|package| {
            format!(
                "require example.org/{} v{}\n",
                package.name, package.version
            )
        })
        .collect();
    let manifest = format!("module example.org/test\n\ngo 1.20\n{needs}");
    fs::write(home.join("go.mod"), manifest).unwrap();
    let mut go = machines.client(node, "go", home);
    go.args(["mod", "download", "all"])
        .env("GOPROXY", through("proxy.golang.org"))
        // There is no database of checksums for modules that are made up.
        .env("GONOSUMDB", "*")
        .env("GOTOOLCHAIN", "local");
    run(go);
    let modules = home.join("go/pkg/mod/cache/download/example.org");
    let got = |package: &Package| Got {
        file: modules
            .join(&package.name)
            .join(format!("@v/v{}.zip", package.version)),
        right: package.file.clone(),
    };
    machines.packages.iter().map(got).collect()
}

pub(crate) fn apt(machines: &Machines, node: usize, home: &Path) -> Vec<Got> {
    for folder in ["state/lists/partial", "cache/archives/partial", "etc"] {
        fs::create_dir_all(home.join(folder)).unwrap();
    }
    let source = "deb [trusted=yes] http://deb.debian.org/debian stable main\n";
    fs::write(home.join("etc/sources.list"), source).unwrap();
    fs::write(home.join("state/status"), "").unwrap();
    let place = home.display();
    let settings = format!(
        "APT::Architecture \"amd64\";\nAPT::Architectures {{ \"amd64\"; }};\n\
         APT::Sandbox::User \"root\";\n\
         Acquire::http::Proxy \"http://127.0.0.1:3128/\";\nAcquire::Languages \"none\";\n\
         Dir::State \"{place}/state\";\nDir::State::status \"{place}/state/status\";\n\
         Dir::Cache \"{place}/cache\";\nDir::Etc \"{place}/etc\";\n"
    );
    fs::write(home.join("apt.conf"), settings).unwrap();
    let names = machines
        .packages
        .iter()
        .map(|package| package.name.as_str());
    let mut download = vec!["download"];
    download.extend(names);
    for args in [&["update"], download.as_slice()] {
        let mut apt = machines.client(node, "apt-get", home);
        // Read first, and so instead of the machine's own settings.
        apt.args(args).env("APT_CONFIG", home.join("apt.conf"));
        run(apt);
    }
    let got = |package: &Package| Got {
        file: home.join(package.url.rsplit('/').next().unwrap()),
        right: package.file.clone(),
    };
    machines.packages.iter().map(got).collect()
}
