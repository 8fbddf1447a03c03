//! What says in a file which of it is ours: comments around what was put in, and before
//! what was taken out of force. All that taking it back needs stands in the file itself.

use std::ops::Range;

/// Begins the comment above what was put in.
const BEGIN: &str = "hedgerow cache setup: begin";
/// And the one in a file that was not there before.
const IN_NEW_FILE: &str = ", in a new file";
/// The comment below it.
const END: &str = "hedgerow cache setup: end";
/// Begins the comment that holds what was in force before.
const WAS: &str = "hedgerow cache setup, was: ";

/// How a format writes a comment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comment {
    /// To the end of the line.
    Line(&'static str),
    /// `<!-- so -->`, anywhere between two elements.
    Xml,
}

impl Comment {
    fn open(self) -> &'static str {
        match self {
            Self::Line(open) => open,
            Self::Xml => "<!-- ",
        }
    }

    fn close(self) -> &'static str {
        match self {
            Self::Line(_) => "",
            Self::Xml => " -->",
        }
    }

    fn of(self, text: &str) -> String {
        format!("{}{text}{}", self.open(), self.close())
    }

    /// The comment above a block.
    pub(super) fn begin(self, is_new_file: bool) -> String {
        let in_new_file = if is_new_file { IN_NEW_FILE } else { "" };
        self.of(&format!("{BEGIN}{in_new_file}"))
    }

    /// The comment below it.
    pub(super) fn end(self) -> String {
        self.of(END)
    }

    /// `text` in comments, so that it is in force no more.
    pub(super) fn take_out(self, text: &str) -> String {
        match self {
            Self::Line(open) => lines(text)
                .map(|line| format!("{open}{WAS}{}", &text[line]))
                .collect(),
            Self::Xml => self.of(&format!("{WAS}{text}")),
        }
    }
}

/// What is ours in a text.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Marks {
    blocks: Vec<Block>,
    /// The beginnings and ends of the comments around what was taken out of force.
    was: Vec<Range<usize>>,
    /// Whether the file was made for this.
    pub(super) is_new_file: bool,
}

#[derive(Debug, PartialEq, Eq)]
struct Block {
    /// With the line ends that came with it.
    all: Range<usize>,
    /// Between the two comments.
    inside: Range<usize>,
}

/// A block that does not end, or ends twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Damaged {
    /// Where.
    pub(super) at: usize,
}

impl Marks {
    /// Reads those of `text`.
    pub(super) fn of(comment: Comment, text: &str) -> Result<Self, Damaged> {
        let mut marks = Self::default();
        let (begin, end) = (format!("{}{BEGIN}", comment.open()), comment.end());
        let mut from = 0;
        while let Some(at) = find(text, &begin, from) {
            let opened = at + begin.len();
            let close = find(text, &end, opened).ok_or(Damaged { at })?;
            if find(&text[..close], &begin, opened).is_some() {
                return Err(Damaged { at });
            }
            let head = &text[opened..];
            marks.is_new_file |= head.starts_with(IN_NEW_FILE);
            let head = head.find(['\n', '\r']).unwrap_or(head.len());
            from = close + end.len();
            marks.blocks.push(Block {
                all: at..from,
                inside: (opened + head).min(close)..close,
            });
        }
        if let Some(at) = find(text, &end, from) {
            return Err(Damaged { at });
        }
        let mut tail = text.len();
        for block in marks.blocks.iter_mut().rev() {
            let is_last = block.all.end == tail;
            block.all = whole(text, &block.all, is_last || comment == Comment::Xml);
            tail = block.all.start;
        }
        marks.was = taken_out(comment, text)?;
        Ok(marks)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.blocks.is_empty() && self.was.is_empty()
    }

    /// Whether `at` is in a block.
    pub(super) fn holds(&self, at: usize) -> bool {
        self.blocks.iter().any(|block| block.all.contains(&at))
    }

    /// The lines between the comments, each with where it is.
    pub(super) fn inside<'t>(&self, text: &'t str) -> impl Iterator<Item = (usize, &'t str)> {
        self.blocks.iter().flat_map(move |block| {
            let start = block.inside.start;
            lines(&text[block.inside.clone()]).map(move |line| {
                (
                    start + line.start,
                    &text[start + line.start..start + line.end],
                )
            })
        })
    }

    /// `text` as it was before.
    pub(super) fn take_back(&self, text: &str) -> String {
        let mut ours: Vec<Range<usize>> = Vec::new();
        ours.extend(self.blocks.iter().map(|block| block.all.clone()));
        ours.extend(self.was.iter().cloned());
        ours.sort_by_key(|range| (range.start, range.end));
        let mut before = String::with_capacity(text.len());
        let mut at = 0;
        for range in ours {
            before.push_str(text.get(at..range.start).unwrap_or_default());
            at = at.max(range.end);
        }
        before.push_str(&text[at..]);
        before
    }
}

/// A block with the line end that was put in with it: the one behind it where it has lines of
/// its own, the one before it (`is_led`) where the text around it has no line end there.
fn whole(text: &str, block: &Range<usize>, is_led: bool) -> Range<usize> {
    let start = text[..block.start]
        .rfind(['\n', '\r'])
        .map_or(0, |at| at + 1);
    if !is_led {
        return start..block.end + line_end(&text[block.end..]);
    }
    let before = &text[..start];
    let before = before.strip_suffix('\n').unwrap_or(before);
    before.strip_suffix('\r').unwrap_or(before).len()..block.end
}

fn taken_out(comment: Comment, text: &str) -> Result<Vec<Range<usize>>, Damaged> {
    let open = format!("{}{WAS}", comment.open());
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(at) = find(text, &open, from) {
        from = at + open.len();
        let close = comment.close();
        let end = match close {
            "" => from,
            close => find(text, close, from).ok_or(Damaged { at })?,
        };
        found.extend([at..from, end..end + close.len()]);
    }
    Ok(found)
}

fn find(text: &str, what: &str, from: usize) -> Option<usize> {
    text[from..].find(what).map(|at| from + at)
}

/// Bytes of the line end that `text` begins with.
fn line_end(text: &str) -> usize {
    match text.as_bytes() {
        [b'\r', b'\n', ..] => 2,
        [b'\r' | b'\n', ..] => 1,
        _ => 0,
    }
}

/// The lines of `text` with their ends; what npm, pip and editors take for one.
pub(super) fn lines(text: &str) -> impl Iterator<Item = Range<usize>> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = text.get(at..).filter(|rest| !rest.is_empty())?;
        let length = rest.find(['\n', '\r']).unwrap_or(rest.len());
        let start = at;
        at += length + line_end(&rest[length..]);
        Some(start..at)
    })
}
