//! Putting a setting into a text and taking it back, whatever its format.

use std::ops::Range;

use super::marks::{Comment, Damaged, Marks};

/// How a client's file is read, and what is put where in it.
pub(super) trait Format: Sync {
    fn comment(&self) -> Comment;

    /// What a file that is made for this has beside what is put in.
    fn skeleton(&self) -> &'static str {
        ""
    }

    /// How many values make the setting.
    fn wanted(&self) -> usize {
        1
    }

    /// Whether a single line sets it, wherever that stands.
    fn is_one_line(&self) -> bool {
        true
    }

    /// How this file ends its lines.
    fn newline(&self, text: &str) -> &'static str {
        if text.contains("\r\n") { "\r\n" } else { "\n" }
    }

    /// The values that are in force in `text`.
    fn find(&self, text: &str, port: u16) -> Result<Vec<Found>, Unreadable>;

    /// What to put where, in a text where no other value is in force.
    fn place(&self, text: &str, port: u16) -> Result<Vec<Edit>, Unreadable>;

    /// Every line that [`Format::place`] may put in.
    fn vocabulary(&self, port: u16) -> Vec<String>;
}

/// A value of the setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// Where, with all that would have to go.
    pub(super) at: Range<usize>,
    pub(super) value: String,
    /// Whether it is the one that is to be set.
    pub(super) is_right: bool,
    pub(super) replace: Replace,
}

/// How another value gives way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Replace {
    /// Its lines become comments.
    TakeOut,
    /// Ours goes before it.
    GoBefore,
    /// It shares its lines with something else.
    Cannot,
}

/// A change of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Edit {
    /// Lines there.
    Insert {
        at: usize,
        indent: String,
        lines: Vec<String>,
    },
    /// What is there becomes a comment.
    TakeOut(Range<usize>),
}

impl Edit {
    /// Where; what goes in at a place goes before what is taken out there.
    fn at(&self) -> (usize, bool) {
        match self {
            Self::Insert { at, .. } => (*at, false),
            Self::TakeOut(range) => (range.start, true),
        }
    }
}

/// Why the client itself, or this program, cannot make sense of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unreadable {
    /// Where.
    pub(super) at: usize,
    pub(super) why: String,
}

impl Unreadable {
    pub(super) fn new(at: usize, why: impl Into<String>) -> Self {
        let why = why.into();
        Self { at, why }
    }
}

/// Why nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    Unreadable(Unreadable),
    /// Another value is in force.
    Other(Found),
    /// What is between our comments is not what was put there.
    Changed(usize),
    /// The value is right, and nothing says that it is from here.
    Unmarked(usize),
    /// The setting would not be in force after the change, or could not be taken back.
    Involved(usize),
}

impl From<Unreadable> for Refusal {
    fn from(unreadable: Unreadable) -> Self {
        Self::Unreadable(unreadable)
    }
}

impl From<Damaged> for Refusal {
    fn from(damaged: Damaged) -> Self {
        Self::Changed(damaged.at)
    }
}

/// How a text stands to the setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    Set,
    Unset,
    Other(Found),
}

/// How `text` stands to the setting.
pub(super) fn state(format: &dyn Format, text: &str, port: u16) -> Result<State, Unreadable> {
    let found = format.find(text, port)?;
    let right = found.iter().filter(|found| found.is_right).count();
    match found.into_iter().find(|found| !found.is_right) {
        Some(other) => Ok(State::Other(other)),
        None if right >= format.wanted() => Ok(State::Set),
        None => Ok(State::Unset),
    }
}

/// The text with the setting in force; `None` if it is already. `old` is `None` where there is no
/// file.
pub(super) fn set(
    format: &dyn Format,
    old: Option<&str>,
    port: u16,
    force: bool,
) -> Result<Option<String>, Refusal> {
    let text = old.unwrap_or(format.skeleton());
    if state(format, text, port)? == State::Set {
        return Ok(None);
    }
    let marks = Marks::of(format.comment(), text)?;
    unchanged(format, &marks, text, force)?;
    let mut others = others(format, text, port)?.into_iter();
    if let Some(other) = others.find(|other| !force && !marks.holds(other.at.start)) {
        return Err(Refusal::Other(other));
    }
    // What was set for another port gives way, and what it had taken the place of gives way anew.
    let base = marks.take_back(text);
    let is_new_file = old.is_none() || marks.is_new_file;
    let freed = free(format, &base, port)?;
    let new = apply(format, &freed, format.place(&freed, port)?, is_new_file);
    let is_set = state(format, &new, port) == Ok(State::Set);
    let comes_back = Marks::of(format.comment(), &new).is_ok_and(|marks| {
        marks.take_back(&new) == base && unchanged(format, &marks, &new, false).is_ok()
    });
    match is_set && comes_back {
        true => Ok(Some(new)),
        false => Err(Refusal::Involved(first(format, &base, port))),
    }
}

/// What is left once the setting is taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// There was nothing to take back.
    Same,
    Text(String),
    /// The file was made for the setting and holds nothing else.
    Nothing,
}

/// Takes back what [`set`] did; with `force` also where it was changed since, or has lost its
/// comments.
pub(super) fn unset(format: &dyn Format, text: &str, force: bool) -> Result<Left, Refusal> {
    let marks = Marks::of(format.comment(), text)?;
    if !marks.is_empty() {
        unchanged(format, &marks, text, force)?;
        let before = marks.take_back(text);
        return Ok(match marks.is_new_file && before == format.skeleton() {
            true => Left::Nothing,
            false => Left::Text(before),
        });
    }
    let lines = unmarked(format, text);
    match lines.first() {
        None => Ok(Left::Same),
        Some(first) if !force => Err(Refusal::Unmarked(first.start)),
        Some(first) if !format.is_one_line() => Err(Refusal::Involved(first.start)),
        Some(_) => Ok(Left::Text(without(text, &lines))),
    }
}

/// Lines that are ours to the letter, for whatever port, though no comment says so: clients
/// that write their files themselves drop comments.
fn unmarked(format: &dyn Format, text: &str) -> Vec<Range<usize>> {
    let vocabulary = format.vocabulary(0);
    super::marks::lines(text)
        .filter(|line| {
            let line = any_port(text[line.clone()].trim());
            line.contains(ADDRESS) && vocabulary.contains(&line)
        })
        .collect()
}

fn without(text: &str, lines: &[Range<usize>]) -> String {
    let mut left = text.to_owned();
    for line in lines.iter().rev() {
        left.replace_range(line.clone(), "");
    }
    left
}

/// That the lines between our comments are lines that this program puts there.
fn unchanged(format: &dyn Format, marks: &Marks, text: &str, force: bool) -> Result<(), Refusal> {
    let vocabulary = format.vocabulary(0);
    let is_ours = |line: &str| line.is_empty() || vocabulary.contains(&any_port(line));
    match marks.inside(text).find(|(_, line)| !is_ours(line.trim())) {
        Some((at, _)) if !force => Err(Refusal::Changed(at)),
        _ => Ok(()),
    }
}

/// Where every proxy is.
const ADDRESS: &str = "127.0.0.1:";

/// A line with port 0 instead of the proxy's.
fn any_port(line: &str) -> String {
    let Some(at) = line.find(ADDRESS).map(|at| at + ADDRESS.len()) else {
        return line.to_owned();
    };
    let rest = line[at..].trim_start_matches(|c: char| c.is_ascii_digit());
    format!("{}0{rest}", &line[..at])
}

fn others(format: &dyn Format, text: &str, port: u16) -> Result<Vec<Found>, Unreadable> {
    let mut found = format.find(text, port)?;
    found.retain(|found| !found.is_right);
    Ok(found)
}

/// `text` with no other value in force.
fn free(format: &dyn Format, text: &str, port: u16) -> Result<String, Refusal> {
    let mut edits = Vec::new();
    for other in others(format, text, port)? {
        match other.replace {
            Replace::TakeOut => edits.push(Edit::TakeOut(other.at)),
            Replace::GoBefore => {}
            Replace::Cannot => return Err(Refusal::Involved(other.at.start)),
        }
    }
    Ok(apply(format, text, edits, false))
}

fn first(format: &dyn Format, text: &str, port: u16) -> usize {
    let found = format.find(text, port).unwrap_or_default();
    found.first().map_or(0, |found| found.at.start)
}

fn apply(format: &dyn Format, text: &str, mut edits: Vec<Edit>, is_new_file: bool) -> String {
    let newline = format.newline(text);
    let mut new = text.to_owned();
    // From the end, so that the places before stay right.
    edits.sort_by_key(Edit::at);
    for edit in edits.into_iter().rev() {
        match edit {
            Edit::TakeOut(range) => {
                let comment = format.comment().take_out(&text[range.clone()]);
                new.replace_range(range, &comment);
            }
            Edit::Insert { at, indent, lines } => {
                let block = block(format, &indent, &lines, is_new_file);
                let block = match has_own_lines(format, text, at) {
                    true => block
                        .map(|line| format!("{line}{newline}"))
                        .collect::<String>(),
                    false => block.map(|line| format!("{newline}{line}")).collect(),
                };
                new.insert_str(at, &block);
            }
        }
    }
    new
}

/// Whether what is put in at `at` stands on lines of its own, with their ends.
fn has_own_lines(format: &dyn Format, text: &str, at: usize) -> bool {
    let before = &text[..at];
    format.comment() != Comment::Xml && (before.is_empty() || before.ends_with(['\n', '\r']))
}

fn block<'a>(
    format: &dyn Format,
    indent: &'a str,
    lines: &'a [String],
    is_new_file: bool,
) -> impl Iterator<Item = String> + 'a {
    let comment = format.comment();
    std::iter::once(comment.begin(is_new_file))
        .chain(lines.iter().cloned())
        .chain(std::iter::once(comment.end()))
        .map(move |line| format!("{indent}{line}"))
}
