//! What cargo and containerd read, which is TOML.

use std::ops::Range;

use ::toml::de::{DeTable, DeValue};

use super::{
    edit::{Edit, Format, Found, Replace, Unreadable},
    marks::Comment,
};

/// `config.toml` of cargo.
pub(super) struct Cargo;

/// What crates-io is replaced by.
const SOURCE: &str = "hedgerow";

fn index(port: u16) -> String {
    format!("sparse+http://127.0.0.1:{port}/https/index.crates.io/")
}

impl Format for Cargo {
    fn comment(&self) -> Comment {
        Comment::Line("# ")
    }

    fn wanted(&self) -> usize {
        2
    }

    fn is_one_line(&self) -> bool {
        false
    }

    fn find(&self, text: &str, port: u16) -> Result<Vec<Found>, Unreadable> {
        let document = parse(text)?;
        let replaced = value(&document, &["source", "crates-io", "replace-with"]);
        let source = value(&document, &["source", SOURCE, "registry"]);
        let replaced = replaced.map(|entry| entry.found(text, SOURCE));
        let source = source.map(|entry| entry.found(text, &index(port)));
        Ok(replaced.into_iter().chain(source).collect())
    }

    fn place(&self, text: &str, port: u16) -> Result<Vec<Edit>, Unreadable> {
        let document = parse(text)?;
        let [header, replace, source, registry] = self.lines(port);
        let insert = |at, lines| Edit::Insert {
            at,
            indent: String::new(),
            lines,
        };
        let theirs = value(&document, &["source", "crates-io"]);
        Ok(match theirs.and_then(|entry| entry.header(text)) {
            Some(line) => vec![
                insert(line.end, vec![replace]),
                insert(text.len(), vec![source, registry]),
            ],
            None => vec![insert(text.len(), vec![header, replace, source, registry])],
        })
    }

    fn vocabulary(&self, port: u16) -> Vec<String> {
        self.lines(port).to_vec()
    }
}

impl Cargo {
    fn lines(&self, port: u16) -> [String; 4] {
        [
            "[source.crates-io]".to_owned(),
            format!("replace-with = \"{SOURCE}\""),
            format!("[source.{SOURCE}]"),
            format!("registry = \"{}\"", index(port)),
        ]
    }
}

/// `hosts.toml` of containerd, for one registry.
pub(super) struct Containerd;

fn mirror(port: u16) -> String {
    format!("http://127.0.0.1:{port}/https/registry-1.docker.io/v2")
}

impl Format for Containerd {
    fn comment(&self) -> Comment {
        Comment::Line("# ")
    }

    fn is_one_line(&self) -> bool {
        false
    }

    fn find(&self, text: &str, port: u16) -> Result<Vec<Found>, Unreadable> {
        let document = parse(text)?;
        let host = value(&document, &["host", &mirror(port)]);
        Ok(host
            .map(|entry| Found {
                at: entry.key.clone(),
                value: mirror(port),
                is_right: true,
                replace: Replace::Cannot,
            })
            .into_iter()
            .collect())
    }

    /// Before all other hosts: they are asked in the order of the file.
    fn place(&self, text: &str, port: u16) -> Result<Vec<Edit>, Unreadable> {
        let document = parse(text)?;
        let mut lines = self.vocabulary(port);
        // A file without it means the registry itself anyway, and it cannot stand below a table.
        if !text.is_empty() {
            lines.remove(0);
        }
        let first = value(&document, &["host"]);
        let first = first.map(|entry| line_of(text, &entry.key));
        let at = match first.filter(|line| text[line.clone()].trim_start().starts_with('[')) {
            Some(line) => line.start,
            None => text.len(),
        };
        let indent = String::new();
        Ok(vec![Edit::Insert { at, indent, lines }])
    }

    fn vocabulary(&self, port: u16) -> Vec<String> {
        vec![
            "server = \"https://registry-1.docker.io\"".to_owned(),
            format!("[host.\"{}\"]", mirror(port)),
            "capabilities = [\"pull\", \"resolve\"]".to_owned(),
            "override_path = true".to_owned(),
        ]
    }
}

fn parse(text: &str) -> Result<DeTable<'_>, Unreadable> {
    DeTable::parse(text)
        .map(::toml::Spanned::into_inner)
        .map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            Unreadable::new(at.min(text.len()), error.message())
        })
}

/// A key of a document, and what it is set to.
struct Entry<'d> {
    key: Range<usize>,
    value: &'d DeValue<'d>,
    at: Range<usize>,
}

fn value<'d>(document: &'d DeTable<'d>, path: &[&str]) -> Option<Entry<'d>> {
    let (last, tables) = path.split_last()?;
    let mut table = document;
    for name in tables {
        table = table.get(*name)?.get_ref().as_table()?;
    }
    let (key, value) = table.get_key_value(*last)?;
    Some(Entry {
        key: key.span(),
        value: value.get_ref(),
        at: value.span(),
    })
}

impl Entry<'_> {
    fn found(&self, text: &str, right: &str) -> Found {
        let value = self.value.as_str();
        let lines = line_of(text, &self.key).start..line_of(text, &self.at).end;
        let before = &text[lines.start..self.key.start];
        let behind = text[self.at.end..lines.end].trim_start();
        let is_alone =
            !before.contains(['{', '[', ',']) && (behind.is_empty() || behind.starts_with('#'));
        Found {
            value: value.map_or_else(|| text[self.at.clone()].to_owned(), str::to_owned),
            is_right: value == Some(right),
            replace: match is_alone {
                true => Replace::TakeOut,
                false => Replace::Cannot,
            },
            at: lines,
        }
    }

    /// The line of the `[table]` that this is, where it is one.
    fn header(&self, text: &str) -> Option<Range<usize>> {
        let line = line_of(text, &self.key);
        let is_header = text[line.start..self.key.start]
            .trim_start()
            .starts_with('[')
            && text[self.key.end..line.end].trim_start().starts_with(']');
        is_header.then_some(line)
    }
}

/// The lines that a range is in, with the last one's end.
fn line_of(text: &str, range: &Range<usize>) -> Range<usize> {
    let start = text[..range.start].rfind('\n').map_or(0, |at| at + 1);
    let end = text[range.end..]
        .find('\n')
        .map_or(text.len(), |at| range.end + at + 1);
    start..end
}
