//! Each format on files as people have them: set, set again, taken back to the byte.

mod edits;
mod files;
mod formats;
mod random;

use super::{
    apt::Apt,
    edit::{self, Format, Left, Refusal, State},
    go::Go,
    maven::Maven,
    npm::Npm,
    pip::Pip,
    toml::{Cargo, Containerd},
};

const PORT: u16 = 3128;

/// A format, a file where it is unset, and one where it has another value.
struct Case {
    name: &'static str,
    format: &'static dyn Format,
    unset: &'static str,
    other: Option<&'static str>,
    /// What is no file of this format.
    unreadable: Option<&'static str>,
}

const CASES: [Case; 7] = [
    Case {
        name: "pip",
        format: &Pip,
        unset: "# mine\n[install]\nuser = no\n\n[global]\ntimeout = 60 ; not a comment\n# end\n",
        other: Some(
            "[global]\ntimeout = 60\nindex_url: https://mirror.example/simple\nretries = 3\n",
        ),
        unreadable: Some("timeout = 60\n[global]\n"),
    },
    Case {
        name: "npm",
        format: &Npm,
        unset: "; mine\n//registry.npmjs.org/:_authToken=secret\n@corp:registry=https://npm.example/\n",
        other: Some("save-exact=true\n registry = \"https://npm.example/\"\nfund=false\n"),
        unreadable: None,
    },
    Case {
        name: "cargo",
        format: &Cargo,
        unset: "# mine\n[net]\nretry = 3 # often\n\n[registries.corp]\nindex = \"https://corp.example/\"\n",
        other: Some(
            "[source.crates-io]\nreplace-with = \"vendored\" # ours\n\n[source.vendored]\ndirectory = \"vendor\"\n",
        ),
        unreadable: Some("[net\nretry = 3\n"),
    },
    Case {
        name: "go",
        format: &Go,
        unset: "# mine\nGOFLAGS=-mod=mod\nnonsense\nGOPRIVATE=corp.example\n",
        other: Some("GOFLAGS=-mod=mod\nGOPROXY=https://goproxy.example\n"),
        unreadable: None,
    },
    Case {
        name: "apt",
        format: &Apt,
        unset: "/* mine; */\nAcquire { Retries \"3\"; http { Timeout \"9\"; }; };\n# APT::Foo \"{\"\n",
        other: Some("APT::Get::Yes \"1\";\nacquire::HTTP::proxy \"http://proxy.example:8080\";\n"),
        unreadable: Some("Acquire { Retries \"3\";\n"),
    },
    Case {
        name: "maven",
        format: &Maven,
        unset: "<?xml version=\"1.0\"?>\n<!-- <mirrors> -->\n<settings>\n  <servers/>\n</settings>\n",
        other: Some(
            "<settings>\n  <mirrors>\n    <mirror><id>corp</id><mirrorOf>*</mirrorOf>\
             <url>https://corp.example/</url></mirror>\n  </mirrors>\n</settings>\n",
        ),
        unreadable: Some("<settings>\n  <mirrors>\n</settings>\n"),
    },
    Case {
        name: "oci",
        format: &Containerd,
        unset: "server = \"https://registry-1.docker.io\" # the origin\n\n[host.\"https://mirror.example\"]\ncapabilities = [\"pull\"]\n",
        other: None,
        unreadable: Some("server = \n"),
    },
];

/// A text with its line ends as DOS has them, and one that does not end its last line.
fn shapes(text: &str) -> [String; 3] {
    [
        text.to_owned(),
        text.replace('\n', "\r\n"),
        text.trim_end_matches('\n').to_owned(),
    ]
}

fn set(format: &dyn Format, text: &str, force: bool) -> Result<Option<String>, Refusal> {
    edit::set(format, Some(text), PORT, force)
}

/// The text with the setting, which was not there.
#[track_caller]
fn changed(format: &dyn Format, text: &str, force: bool) -> String {
    let new = set(format, text, force).unwrap_or_else(|refusal| panic!("{refusal:?}: {text}"));
    let new = new.unwrap_or_else(|| panic!("is set: {text}"));
    assert_eq!(edit::state(format, &new, PORT), Ok(State::Set), "{new}");
    assert_eq!(set(format, &new, false), Ok(None), "a second time: {new}");
    new
}

#[track_caller]
fn comes_back(format: &dyn Format, new: &str, old: &str) {
    assert_eq!(
        edit::unset(format, new, false),
        Ok(Left::Text(old.to_owned()))
    );
}

fn line_of(text: &str, refusal: &Refusal) -> (usize, String) {
    match refusal {
        Refusal::Other(found) => (super::say::line(text, found.at.start), found.value.clone()),
        refusal => panic!("{refusal:?}"),
    }
}
