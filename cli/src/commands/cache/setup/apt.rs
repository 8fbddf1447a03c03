//! A file of apt's configuration.

use std::ops::Range;

use super::{
    edit::{Edit, Format, Found, Replace, Unreadable},
    marks::Comment,
};

pub(super) struct Apt;

const KEY: &str = "Acquire::http::Proxy";

fn proxy(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

impl Format for Apt {
    fn comment(&self) -> Comment {
        Comment::Line("// ")
    }

    fn find(&self, text: &str, port: u16) -> Result<Vec<Found>, Unreadable> {
        let all = statements(text)?;
        let found = all
            .into_iter()
            .filter(|it| it.key.eq_ignore_ascii_case(KEY));
        Ok(found
            .map(|it| Found {
                is_right: it.value == proxy(port),
                value: it.value,
                replace: alone(text, &it.at),
                at: it.at,
            })
            .collect())
    }

    /// At the top, where nothing is open.
    fn place(&self, _text: &str, port: u16) -> Result<Vec<Edit>, Unreadable> {
        Ok(vec![Edit::Insert {
            at: 0,
            indent: String::new(),
            lines: self.vocabulary(port),
        }])
    }

    fn vocabulary(&self, port: u16) -> Vec<String> {
        vec![format!("{KEY} \"{}\";", proxy(port))]
    }
}

/// Whether the statement has its lines to itself.
fn alone(text: &str, at: &Range<usize>) -> Replace {
    let before = text[..at.start].rsplit(['\n', '\r']).next().unwrap_or("");
    let behind = text[at.end..].split(['\n', '\r']).next().unwrap_or("");
    match before.trim().is_empty() && behind.trim().is_empty() {
        true => Replace::TakeOut,
        false => Replace::Cannot,
    }
}

struct Statement {
    at: Range<usize>,
    key: String,
    value: String,
}

/// What is set to a value, with its key in full.
fn statements(text: &str) -> Result<Vec<Statement>, Unreadable> {
    let mut found = Vec::new();
    let mut scopes: Vec<String> = Vec::new();
    let mut words: Vec<String> = Vec::new();
    let mut start = 0;
    for (at, token) in tokens(text)? {
        match token {
            Token::Word(word) => {
                if words.is_empty() {
                    start = at;
                }
                words.push(word);
            }
            Token::Open => {
                // What has a block may have a value as well.
                found.extend(statement(&scopes, &words, start..at + 1));
                scopes.push(words.first().cloned().unwrap_or_default());
                words.clear();
            }
            Token::Close => {
                scopes
                    .pop()
                    .ok_or_else(|| Unreadable::new(at, "a } too many"))?;
                words.clear();
            }
            Token::End => {
                found.extend(statement(&scopes, &words, start..at + 1));
                words.clear();
            }
        }
    }
    match (scopes.is_empty(), words.is_empty()) {
        (true, true) => Ok(found),
        _ => Err(Unreadable::new(start, "it has no end")),
    }
}

fn statement(scopes: &[String], words: &[String], at: Range<usize>) -> Option<Statement> {
    let [key, value, ..] = words else {
        return None;
    };
    let path: Vec<_> = scopes.iter().chain([key]).map(String::as_str).collect();
    Some(Statement {
        at,
        key: path.join("::"),
        value: value.clone(),
    })
}

enum Token {
    Word(String),
    Open,
    Close,
    End,
}

fn tokens(text: &str) -> Result<Vec<(usize, Token)>, Unreadable> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(next) = text[at..].chars().next() {
        let rest = &text[at..];
        let (length, token) = match next {
            '#' => (to(rest, "\n"), None),
            '/' if rest.starts_with("//") => (to(rest, "\n"), None),
            '/' if rest.starts_with("/*") => (behind(rest, 2, "*/", at)?, None),
            '"' => {
                let length = behind(rest, 1, "\"", at)?;
                (length, Some(Token::Word(rest[1..length - 1].to_owned())))
            }
            '{' => (1, Some(Token::Open)),
            '}' => (1, Some(Token::Close)),
            ';' => (1, Some(Token::End)),
            space if space.is_whitespace() => (space.len_utf8(), None),
            _ => {
                let ends = |c: char| c.is_whitespace() || matches!(c, '{' | '}' | ';' | '"');
                let length = rest.find(ends).unwrap_or(rest.len());
                (length, Some(Token::Word(rest[..length].to_owned())))
            }
        };
        tokens.extend(token.map(|token| (at, token)));
        at += length;
    }
    Ok(tokens)
}

fn to(rest: &str, end: &str) -> usize {
    rest.find(end).unwrap_or(rest.len())
}

fn behind(rest: &str, from: usize, end: &str, at: usize) -> Result<usize, Unreadable> {
    let found = rest[from..].find(end);
    let found = found.ok_or_else(|| Unreadable::new(at, format!("{end} is missing")))?;
    Ok(from + found + end.len())
}
