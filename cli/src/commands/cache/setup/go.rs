//! Go's `env` file: `KEY=VALUE`, and Go passes over every line that is nothing of the sort.

use std::ops::Range;

use super::{
    edit::{Edit, Format, Found, Replace, Unreadable},
    marks::Comment,
};

pub(super) struct Go;

fn setting(port: u16) -> String {
    format!("GOPROXY={}", proxy(port))
}

fn proxy(port: u16) -> String {
    format!("http://127.0.0.1:{port}/https/proxy.golang.org|https://proxy.golang.org,direct")
}

impl Format for Go {
    fn comment(&self) -> Comment {
        Comment::Line("# ")
    }

    /// A carriage return would be part of the value.
    fn newline(&self, _text: &str) -> &'static str {
        "\n"
    }

    fn find(&self, text: &str, port: u16) -> Result<Vec<Found>, Unreadable> {
        let found = lines(text).filter_map(|at| {
            let line = text[at.clone()].trim_end_matches('\n');
            let value = line.strip_prefix("GOPROXY=")?;
            Some(Found {
                at,
                value: value.trim_end().to_owned(),
                is_right: value == proxy(port),
                replace: Replace::TakeOut,
            })
        });
        Ok(found.collect())
    }

    fn place(&self, _text: &str, port: u16) -> Result<Vec<Edit>, Unreadable> {
        let lines = self.vocabulary(port);
        let indent = String::new();
        Ok(vec![Edit::Insert {
            at: 0,
            indent,
            lines,
        }])
    }

    fn vocabulary(&self, port: u16) -> Vec<String> {
        vec![setting(port)]
    }
}

/// Lines end at a line feed and nowhere else.
fn lines(text: &str) -> impl Iterator<Item = Range<usize>> {
    text.split_inclusive('\n').scan(0, |at, line| {
        let start = *at;
        *at += line.len();
        Some(start..*at)
    })
}
