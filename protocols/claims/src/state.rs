//! What claims and releases say of their block. Pure: both stores count with it.

use cid::Cid;
use replicas::StoreError;

use crate::Claim;
use crate::key::{BlockKey, Key};
use crate::row::Row;

/// Claims and releases of one block that are looked at (CL6). A block that has so many counts as
/// claimed: as many as a replica lists of it, so that all come to the same.
pub const MAX_LOOKED: usize = replicas::MAX_LIST;

/// Rows that one page of free blocks is found among, about: what one call takes of the disk.
const PAGE_ROWS: usize = 16_384;

/// Whether a block is needed, as far as a node knows (CL6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It has no claim, and no release since it was last put. Nobody said that it can go.
    Unclaimed,
    /// Somebody needs it, or so many have needed it that not all of them are looked at.
    Claimed,
    /// It has releases and no claim.
    Free {
        /// When the last release came here, in Unix seconds by this node's clock.
        since: u64,
    },
}

/// Free blocks in the order of the ring, and where to go on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FreePage {
    /// The blocks, each with its [`State::Free`]'s `since`. There may be none on a page, and
    /// more behind it.
    pub blocks: Vec<(Cid, u64)>,
    /// The block behind which to go on; none where all were looked at.
    pub next: Option<Cid>,
}

/// Adds up the rows of one block.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    looked: usize,
    claimed: bool,
    released: Option<u64>,
}

impl Tally {
    /// Counts a row; one that cannot be read may have been a claim.
    pub(crate) fn add(&mut self, row: Option<&Row>, now: u64) {
        self.looked += 1;
        match row {
            Some(row) if !row.is_live(now) => {}
            Some(row) if row.release.is_some() => {
                self.released = self.released.max(Some(row.arrived));
            }
            _ => self.claimed = true,
        }
    }

    /// Whether no further row matters.
    pub(crate) fn is_decided(&self) -> bool {
        self.claimed || self.looked >= MAX_LOOKED
    }

    /// Whether there is a release, among those that were looked at, or may be behind them.
    pub(crate) fn has_release(&self) -> bool {
        self.released.is_some() || self.is_decided()
    }

    /// Whether a put of the block is to be noted (CL6). Where there is a claim its release, which
    /// is still to come, is later than the put.
    pub(crate) fn notes_puts(&self) -> bool {
        self.released.is_some() && !self.claimed
    }

    /// Of a block that was put at `put`, as far as that was noted.
    pub(crate) fn state(&self, put: Option<u64>) -> State {
        match self.released {
            _ if self.is_decided() => State::Claimed,
            // In the same second it may have been the put that came last.
            Some(released) if put.is_none_or(|put| put < released) => {
                State::Free { since: released }
            }
            _ => State::Unclaimed,
        }
    }
}

/// Adds up the rows of one block, in any order.
pub(crate) fn tally(
    rows: impl Iterator<Item = Result<Option<Row>, StoreError>>,
    now: u64,
) -> Result<Tally, StoreError> {
    let mut tally = Tally::default();
    for row in rows {
        tally.add(row?.as_ref(), now);
        if tally.is_decided() {
            break;
        }
    }
    Ok(tally)
}

/// A row as stores go through them: its value is none where it cannot be read.
pub(crate) type Read = Result<(Key, Option<Row>), StoreError>;

/// The first `limit` free blocks of rows in order; `put` says when a block was put last.
pub(crate) fn free_page(
    rows: impl Iterator<Item = Read>,
    limit: usize,
    now: u64,
    put: impl Fn(&Cid) -> Result<Option<u64>, StoreError>,
) -> Result<FreePage, StoreError> {
    let mut page = FreePage::default();
    let mut at: Option<(BlockKey, Cid)> = None;
    let (mut tally, mut looked) = (Tally::default(), 0);
    let finish = |page: &mut FreePage, block: Cid, tally: &Tally| {
        if let State::Free { since } = tally.state(put(&block)?) {
            page.blocks.push((block, since));
        }
        Ok::<(), StoreError>(())
    };
    for row in rows {
        let (key, row) = row?;
        let Some(claim) = key.claim() else { continue };
        match at {
            Some((same, block)) if same == key.block() => {
                // However many claims a block has, they do not hold up the others.
                if tally.is_decided() && looked >= PAGE_ROWS {
                    page.next = Some(block);
                    return Ok(page);
                }
            }
            before => {
                if let Some((_, block)) = before {
                    finish(&mut page, block, &tally)?;
                    if page.blocks.len() >= limit.max(1) || looked >= PAGE_ROWS {
                        page.next = Some(block);
                        return Ok(page);
                    }
                }
                at = Some((key.block(), claim.block));
                tally = Tally::default();
            }
        }
        looked += 1;
        if !tally.is_decided() {
            tally.add(row.as_ref(), now);
        }
    }
    if let Some((_, block)) = at {
        finish(&mut page, block, &tally)?;
    }
    Ok(page)
}

/// The first `limit` claims and releases that are served, with their versions.
pub(crate) fn list_page(
    rows: impl Iterator<Item = Read>,
    limit: usize,
    now: u64,
) -> Result<Vec<(Claim, u64)>, StoreError> {
    let mut page = Vec::new();
    for row in rows {
        if page.len() >= limit {
            break;
        }
        // One that cannot be read is not here, as far as others are told: they bring it anew.
        let (key, row) = row?;
        if let (Some(claim), Some(row)) = (key.claim(), row.filter(|row| row.is_live(now))) {
            page.push((claim, row.version()));
        }
    }
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Release, Secret};

    const NOW: u64 = 2_000_000_000;

    fn released(arrived: u64) -> Row {
        let secret = Secret::from_bytes([1; 32]);
        let release = Some(Release { secret, time: NOW });
        Row { arrived, release }
    }

    fn count(rows: &[Option<Row>]) -> Tally {
        tally(rows.iter().map(|row| Ok(*row)), NOW).unwrap()
    }

    #[test]
    fn what_cannot_be_read_may_have_been_a_claim() {
        let rows = [Some(released(1)), None];
        assert_eq!(count(&rows).state(None), State::Claimed);
        assert!(!count(&rows).notes_puts());
        assert_eq!(count(&rows[..1]).state(None), State::Free { since: 1 });
    }

    #[test]
    fn the_last_that_came_counts_in_any_order() {
        let rows = [released(2), released(3), released(1)].map(Some);
        assert_eq!(count(&rows).state(None), State::Free { since: 3 });
        assert_eq!(count(&rows).state(Some(2)), State::Free { since: 3 });
        assert_eq!(count(&rows).state(Some(3)), State::Unclaimed);
        assert_eq!(count(&rows).state(Some(9)), State::Unclaimed);
        assert_eq!(count(&[]).state(Some(9)), State::Unclaimed);
    }

    /// Where there are too many releases, a put is noted all the same: some will end.
    #[test]
    fn no_more_than_a_list_has_is_looked_at() {
        let rows = vec![Some(released(1)); MAX_LOOKED + 9];
        let many = count(&rows);
        assert_eq!(
            (many.looked, many.state(None)),
            (MAX_LOOKED, State::Claimed)
        );
        assert!(many.notes_puts() && many.has_release());
    }

    fn rows(of: u8, count: usize, row: Row) -> Vec<(Key, Option<Row>)> {
        let block = blocks::Block::of(blocks::RAW, vec![of].into()).unwrap();
        let name = |number: usize| {
            let mut tag = [0; 32];
            tag[..8].copy_from_slice(&number.to_be_bytes());
            Claim {
                block: *block.cid(),
                tag: crate::Tag::from_bytes(tag),
            }
        };
        (0..count)
            .map(|at| (Key::of(&name(at)), Some(row)))
            .collect()
    }

    /// A page ends inside a block that has no end of claims, and goes on behind it.
    #[test]
    fn one_block_does_not_hold_up_the_others() {
        let claim = Row {
            arrived: 1,
            release: None,
        };
        let all = [
            rows(1, PAGE_ROWS * 2, claim),
            rows(2, PAGE_ROWS * 2, released(1)),
            rows(3, 2, released(1)),
        ];
        let mut all = all.concat();
        all.sort_unstable_by_key(|(key, _)| *key);
        let (mut free, mut after, mut pages) = (Vec::new(), None, 0);
        loop {
            let behind = |(key, _): &&(Key, Option<Row>)| {
                after.is_none_or(|after| *key > Key::last_of(&after))
            };
            let mut read = 0;
            let rows = all.iter().filter(behind).inspect(|_| read += 1);
            let page = free_page(rows.map(|row| Ok(*row)), 9, NOW, |_| Ok(None)).unwrap();
            assert!(read <= PAGE_ROWS + MAX_LOOKED + 1, "{read} rows");
            pages += 1;
            free.extend(page.blocks);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(free.len(), 1);
        assert!(pages <= 4, "{pages} pages");
    }
}
