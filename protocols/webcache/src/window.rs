//! The end of a body on its way, in memory for those who are not behind (Q21).

use std::collections::VecDeque;

use bytes::Bytes;
use parking_lot::Mutex;

/// What came last of a body. All that came before is in the file.
#[derive(Debug, Default)]
pub(crate) struct Window(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    chunks: VecDeque<Bytes>,
    /// Where the first of them begins.
    start: u64,
    size: u64,
}

/// Where the next bytes are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In memory.
    Memory(Bytes),
    /// In the file, up to here.
    File(u64),
}

impl Window {
    /// More has come.
    pub(crate) fn push(&self, chunk: Bytes) {
        let mut kept = self.0.lock();
        kept.size += chunk.len() as u64;
        kept.chunks.push_back(chunk);
    }

    /// Lets go of what is in the file, which is all before `written`, until no more than `most`
    /// bytes in `chunks` pieces are left. The last piece stays: a small body is never read back.
    pub(crate) fn shrink(&self, written: u64, most: u64, chunks: usize) {
        let mut kept = self.0.lock();
        while kept.chunks.len() > 1 && (kept.size > most || kept.chunks.len() > chunks) {
            let first = kept.chunks[0].len() as u64;
            if kept.start + first > written {
                break;
            }
            kept.chunks.pop_front();
            kept.start += first;
            kept.size -= first;
        }
    }

    /// Where the byte `at`, which has come, and those behind it are.
    pub(crate) fn find(&self, at: u64) -> Place {
        let kept = self.0.lock();
        let Some(mut left) = at.checked_sub(kept.start) else {
            return Place::File(kept.start);
        };
        for chunk in &kept.chunks {
            if left < chunk.len() as u64 {
                return Place::Memory(chunk.slice(left as usize..));
            }
            left -= chunk.len() as u64;
        }
        Place::Memory(Bytes::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn here(text: &'static str) -> Place {
        Place::Memory(Bytes::from_static(text.as_bytes()))
    }

    #[test]
    fn what_came_last_is_in_memory() {
        let window = Window::default();
        for chunk in ["abc", "de", "fgh"] {
            window.push(Bytes::from_static(chunk.as_bytes()));
        }
        assert_eq!(window.find(0), here("abc"));
        assert_eq!(window.find(4), here("e"));
        // What is not in the file stays, and so does as much as may.
        window.shrink(4, 0, 10);
        assert_eq!(
            (window.find(2), window.find(3)),
            (Place::File(3), here("de"))
        );
        window.shrink(8, 5, 10);
        assert_eq!(window.find(3), here("de"));
        window.shrink(8, 5, 1);
        assert_eq!(
            (window.find(0), window.find(7)),
            (Place::File(5), here("h"))
        );
        // The last piece.
        window.shrink(8, 0, 0);
        assert_eq!(window.find(5), here("fgh"));
    }
}
