//! `pip.conf`, as Python's `configparser` reads it.

use std::ops::Range;

use super::{
    edit::{Edit, Format, Found, Replace, Unreadable},
    marks::{Comment, lines},
};

pub(super) struct Pip;

fn index(port: u16) -> String {
    format!("http://127.0.0.1:{port}/https/pypi.org/simple/")
}

impl Format for Pip {
    fn comment(&self) -> Comment {
        Comment::Line("# ")
    }

    fn find(&self, text: &str, port: u16) -> Result<Vec<Found>, Unreadable> {
        let mut found: Vec<Found> = Vec::new();
        let mut section = "";
        let mut in_ours = false;
        for line in parse(text)? {
            match line.kind {
                Kind::Header(name) => (section, in_ours) = (name, false),
                Kind::Option(key, value) => {
                    in_ours = normalized(key) == "index-url";
                    let is_right = value == index(port);
                    // A command's own section goes before `[global]`, so it counts when it differs.
                    if in_ours && (section == "global" || !is_right) {
                        found.push(Found {
                            at: line.at,
                            value: value.to_owned(),
                            is_right,
                            replace: Replace::TakeOut,
                        });
                    }
                }
                Kind::More(more) => {
                    if let Some(last) = found.last_mut().filter(|_| in_ours) {
                        last.at.end = line.at.end;
                        last.is_right = false;
                        last.value = format!("{} {more}", last.value);
                    }
                }
            }
        }
        Ok(found)
    }

    fn place(&self, text: &str, port: u16) -> Result<Vec<Edit>, Unreadable> {
        let setting = format!("index-url = {}", index(port));
        let parsed = parse(text)?;
        let header = parsed
            .iter()
            .position(|line| line.kind == Kind::Header("global"));
        let edit = match header {
            Some(header) => Edit::Insert {
                at: parsed[header].at.end,
                // What is farther in than the line before it would be more of our value.
                indent: parsed
                    .get(header + 1)
                    .map_or(String::new(), |next| next.indent.to_owned()),
                lines: vec![setting],
            },
            None => Edit::Insert {
                at: text.len(),
                indent: String::new(),
                lines: vec!["[global]".to_owned(), setting],
            },
        };
        Ok(vec![edit])
    }

    fn vocabulary(&self, port: u16) -> Vec<String> {
        vec![
            "[global]".to_owned(),
            format!("index-url = {}", index(port)),
        ]
    }
}

/// A key as pip compares it.
fn normalized(key: &str) -> String {
    let key = key.to_lowercase().replace('_', "-");
    key.strip_prefix("--").unwrap_or(&key).to_owned()
}

struct Line<'t> {
    at: Range<usize>,
    indent: &'t str,
    kind: Kind<'t>,
}

#[derive(Debug, PartialEq, Eq)]
enum Kind<'t> {
    Header(&'t str),
    Option(&'t str, &'t str),
    /// More of the value above.
    More(&'t str),
}

/// All lines but comments and empty ones.
fn parse(text: &str) -> Result<Vec<Line<'_>>, Unreadable> {
    let mut parsed: Vec<Line<'_>> = Vec::new();
    let (mut depth, mut in_option) = (0, false);
    for at in lines(text) {
        let line = &text[at.clone()];
        let content = line.trim();
        if content.is_empty() || content.starts_with(['#', ';']) {
            continue;
        }
        let indent = &line[..line.len() - line.trim_start().len()];
        let columns = indent.chars().count();
        let kind = if in_option && columns > depth {
            Kind::More(content)
        } else {
            depth = columns;
            let kind = kind(content, at.start, parsed.is_empty())?;
            in_option = matches!(kind, Kind::Option(..));
            kind
        };
        parsed.push(Line { at, indent, kind });
    }
    Ok(parsed)
}

fn kind(content: &str, at: usize, is_first: bool) -> Result<Kind<'_>, Unreadable> {
    if let Some(rest) = content.strip_prefix('[')
        && let Some(end) = rest.rfind(']').filter(|end| *end > 0)
    {
        return Ok(Kind::Header(&rest[..end]));
    }
    if is_first {
        return Err(Unreadable::new(at, "a setting stands before any [section]"));
    }
    let Some((key, value)) = content.split_once(['=', ':']) else {
        return Err(Unreadable::new(at, "neither a [section] nor KEY = VALUE"));
    };
    Ok(Kind::Option(key.trim_end(), value.trim_start()))
}
