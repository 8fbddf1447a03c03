//! Maven's `settings.xml`.

use std::ops::Range;

use quick_xml::{Reader, events::Event};

use super::{
    edit::{Edit, Format, Found, Replace, Unreadable},
    marks::Comment,
};

pub(super) struct Maven;

fn url(port: u16) -> String {
    format!("http://127.0.0.1:{port}/https/repo.maven.apache.org/maven2")
}

fn mirror(port: u16) -> [String; 5] {
    [
        "  <mirror>".to_owned(),
        "    <id>hedgerow</id>".to_owned(),
        format!("    <url>{}</url>", url(port)),
        "    <mirrorOf>central</mirrorOf>".to_owned(),
        "  </mirror>".to_owned(),
    ]
}

impl Format for Maven {
    fn comment(&self) -> Comment {
        Comment::Xml
    }

    fn is_one_line(&self) -> bool {
        false
    }

    fn skeleton(&self) -> &'static str {
        "<settings xmlns=\"http://maven.apache.org/SETTINGS/1.2.0\">\n</settings>\n"
    }

    /// The mirror that Maven takes for central: the first that names it and nothing else, or else
    /// the first whose pattern it is in.
    fn find(&self, text: &str, port: u16) -> Result<Vec<Found>, Unreadable> {
        let mirrors = Settings::parse(text)?.mirrors;
        let exact = mirrors.iter().find(|mirror| mirror.of == "central");
        let taken = exact.or_else(|| mirrors.iter().find(|mirror| covers_central(&mirror.of)));
        Ok(taken
            .map(|mirror| Found {
                at: mirror.at.clone(),
                value: mirror.url.clone(),
                is_right: mirror.of == "central" && mirror.url == url(port),
                replace: Replace::GoBefore,
            })
            .into_iter()
            .collect())
    }

    fn place(&self, text: &str, port: u16) -> Result<Vec<Edit>, Unreadable> {
        let settings = Settings::parse(text)?;
        let insert = |at, lines| Edit::Insert {
            at,
            indent: "  ".to_owned(),
            lines,
        };
        let ours = mirror(port).to_vec();
        let whole = || {
            let tags = ["<mirrors>", "</mirrors>"].map(str::to_owned);
            let [open, close] = tags;
            [open]
                .into_iter()
                .chain(ours.clone())
                .chain([close])
                .collect()
        };
        Ok(match settings.at_mirrors {
            None => vec![insert(settings.inside, whole())],
            Some(Mirrors::Empty(tag)) => {
                vec![Edit::TakeOut(tag), insert(settings.inside, whole())]
            }
            Some(Mirrors::Inside(at)) => vec![insert(at, ours)],
        })
    }

    fn vocabulary(&self, port: u16) -> Vec<String> {
        let mirror = mirror(port);
        let mirror = mirror.iter().map(|line| line.trim().to_owned());
        mirror
            .chain(["<mirrors>".to_owned(), "</mirrors>".to_owned()])
            .collect()
    }
}

/// Whether a list of patterns takes in `central`, which is an external repository of https.
fn covers_central(patterns: &str) -> bool {
    let mut covers = false;
    for pattern in patterns.split(',').map(str::trim) {
        match pattern {
            "!central" => return false,
            "central" => return true,
            "*" | "external:*" => covers = true,
            _ => {}
        }
    }
    covers
}

struct Mirror {
    at: Range<usize>,
    of: String,
    url: String,
}

enum Mirrors {
    /// `<mirrors/>`.
    Empty(Range<usize>),
    /// Behind the tag that opens it.
    Inside(usize),
}

/// What of the settings is of interest.
#[derive(Default)]
struct Settings {
    /// Behind the tag that opens them.
    inside: usize,
    at_mirrors: Option<Mirrors>,
    mirrors: Vec<Mirror>,
}

impl Settings {
    fn parse(text: &str) -> Result<Self, Unreadable> {
        let mut reader = Reader::from_str(text);
        let mut settings = Self::default();
        let mut path: Vec<String> = Vec::new();
        loop {
            let start = position(&reader);
            let event = reader.read_event().map_err(|error| {
                let at = usize::try_from(reader.error_position()).unwrap_or(0);
                Unreadable::new(at.min(text.len()), error.to_string())
            })?;
            let at = start..position(&reader);
            match event {
                Event::Start(tag) => {
                    path.push(String::from_utf8_lossy(tag.name().as_ref()).into_owned());
                    settings.opened(&path, at)?;
                }
                Event::Empty(tag) => {
                    path.push(String::from_utf8_lossy(tag.name().as_ref()).into_owned());
                    settings.is_empty(&path, at)?;
                    path.pop();
                }
                Event::End(_) => {
                    settings.closed(&path, at.end);
                    path.pop();
                }
                Event::Text(_) | Event::CData(_) | Event::GeneralRef(_) => {
                    settings.text(&path, &text[at]);
                }
                Event::Eof => break,
                _ => {}
            }
        }
        match (path.is_empty(), settings.inside) {
            (true, 1..) => Ok(settings),
            (true, 0) => Err(Unreadable::new(0, "there is no <settings> in it")),
            (false, _) => Err(Unreadable::new(text.len(), "an element is not closed")),
        }
    }

    fn opened(&mut self, path: &[String], at: Range<usize>) -> Result<(), Unreadable> {
        match names(path).as_slice() {
            ["settings"] if self.inside == 0 => self.inside = at.end,
            [_] => return Err(Unreadable::new(at.start, "not <settings>")),
            ["settings", "mirrors"] => self.at_mirrors = Some(Mirrors::Inside(at.end)),
            ["settings", "mirrors", "mirror"] => self.mirrors.push(Mirror {
                at,
                of: String::new(),
                url: String::new(),
            }),
            _ => {}
        }
        Ok(())
    }

    fn is_empty(&mut self, path: &[String], at: Range<usize>) -> Result<(), Unreadable> {
        match names(path).as_slice() {
            [_] => Err(Unreadable::new(at.start, "nothing can be put in it")),
            ["settings", "mirrors"] => {
                self.at_mirrors = Some(Mirrors::Empty(at));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn closed(&mut self, path: &[String], end: usize) {
        if names(path) == ["settings", "mirrors", "mirror"]
            && let Some(mirror) = self.mirrors.last_mut()
        {
            mirror.at.end = end;
        }
    }

    fn text(&mut self, path: &[String], text: &str) {
        let Some(mirror) = self.mirrors.last_mut() else {
            return;
        };
        let text = text.trim();
        match names(path).as_slice() {
            ["settings", "mirrors", "mirror", "mirrorOf"] => mirror.of.push_str(text),
            ["settings", "mirrors", "mirror", "url"] => mirror.url.push_str(text),
            _ => {}
        }
    }
}

fn names(path: &[String]) -> Vec<&str> {
    path.iter().map(String::as_str).collect()
}

fn position(reader: &Reader<&[u8]>) -> usize {
    // No text that fits into memory is longer.
    usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX)
}
