//! `.npmrc`.

use super::{
    edit::{Edit, Format, Found, Replace, Unreadable},
    marks::{Comment, lines},
};

pub(super) struct Npm;

/// Without it npm writes the proxy's address into `package-lock.json`, which other people and
/// CI then cannot follow.
const LOCK: &str = "omit-lockfile-registry-resolved";

fn registry(port: u16) -> String {
    format!("http://127.0.0.1:{port}/https/registry.npmjs.org/")
}

impl Format for Npm {
    fn comment(&self) -> Comment {
        Comment::Line("# ")
    }

    fn find(&self, text: &str, port: u16) -> Result<Vec<Found>, Unreadable> {
        let found = top(text).filter(|(_, key, _)| *key == "registry");
        Ok(found
            .map(|(at, _, value)| Found {
                at,
                is_right: value == registry(port),
                value: value.to_owned(),
                replace: Replace::TakeOut,
            })
            .collect())
    }

    /// At the top: below a `[section]` it would be another setting.
    fn place(&self, text: &str, port: u16) -> Result<Vec<Edit>, Unreadable> {
        let mut lines = self.vocabulary(port);
        if top(text).any(|(_, key, _)| key == LOCK) {
            lines.pop();
        }
        let indent = String::new();
        Ok(vec![Edit::Insert {
            at: 0,
            indent,
            lines,
        }])
    }

    fn vocabulary(&self, port: u16) -> Vec<String> {
        vec![
            format!("registry={}", registry(port)),
            format!("{LOCK}=true"),
        ]
    }
}

/// The keys and values before the first section.
fn top(text: &str) -> impl Iterator<Item = (std::ops::Range<usize>, &str, &str)> {
    lines(text)
        .take_while(|at| !is_section(&text[at.clone()]))
        .map(|at| (at.clone(), text[at].trim()))
        .filter(|(_, line)| !line.starts_with(['#', ';']))
        .map(|(at, line)| {
            // A key alone is set too, and `key[]` adds to a list under the same name.
            let (key, value) = line.split_once('=').unwrap_or((line, "true"));
            let key = bare(key.trim());
            let key = key.strip_suffix("[]").unwrap_or(key);
            (at, key, bare(value.trim()))
        })
}

/// Farther in it is a key.
fn is_section(line: &str) -> bool {
    let name = line.trim_end().strip_prefix('[');
    let name = name.and_then(|line| line.strip_suffix(']'));
    name.is_some_and(|name| !name.contains(']'))
}

/// A word without its quotes, or without the comment behind it.
fn bare(word: &str) -> &str {
    for quote in ['"', '\''] {
        if let Some(inside) = word
            .strip_prefix(quote)
            .and_then(|rest| rest.strip_suffix(quote))
        {
            return inside;
        }
    }
    word.split(['#', ';']).next().unwrap_or(word).trim_end()
}
