//! A set of names in order, that knows where in the list each one's line is (J5).

use std::collections::BTreeSet;
use std::sync::Arc;

/// Names of a run at most: what a change copies and looks through, beside the runs.
const RUN: usize = 512;

/// Names in the order of their bytes, in runs that copies share: a clone, a change and the place
/// of a line cost what the runs are, some hundred for 100,000 names, and one run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    /// None is empty; each is in order, and before the next one.
    runs: Vec<Run>,
    len: usize,
    bytes: u64,
}

#[derive(Clone, Debug, Default)]
struct Run {
    names: Arc<Vec<Arc<str>>>,
    /// Of their lines.
    bytes: u64,
}

impl Run {
    fn of(names: &[&str]) -> Run {
        Run {
            bytes: names.iter().map(|name| line(name)).sum(),
            names: Arc::new(names.iter().map(|name| Arc::from(*name)).collect()),
        }
    }

    fn last(&self) -> &str {
        self.names.last().expect("no run is empty")
    }
}

/// Bytes of the line of a name.
pub(crate) fn line(name: &str) -> u64 {
    name.len() as u64 + 1
}

/// Where a name is: in which run, and where in it.
#[derive(Clone, Copy)]
struct Place {
    run: usize,
    at: usize,
}

impl Names {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Bytes of all lines.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether a name is there.
    pub(crate) fn contains(&self, name: &str) -> bool {
        self.place(name).is_ok()
    }

    /// Adds a name that is not there; the byte at which its line begins now.
    pub(crate) fn insert(&mut self, name: &str) -> Option<u64> {
        let Err(mut place) = self.place(name) else {
            return None;
        };
        let offset = self.offset(place);
        if place.run == self.runs.len() {
            match self.runs.last() {
                // Behind all others: what is added in order fills one run after the other.
                Some(last) if last.names.len() < RUN => {
                    place.run -= 1;
                    place.at = last.names.len();
                }
                _ => self.runs.push(Run::default()),
            }
        }
        let run = &mut self.runs[place.run];
        Arc::make_mut(&mut run.names).insert(place.at, Arc::from(name));
        run.bytes += line(name);
        self.len += 1;
        self.bytes += line(name);
        self.divide(place.run);
        Some(offset)
    }

    /// Takes a name away that is there; the byte at which its line began.
    pub(crate) fn remove(&mut self, name: &str) -> Option<u64> {
        let place = self.place(name).ok()?;
        let offset = self.offset(place);
        let run = &mut self.runs[place.run];
        Arc::make_mut(&mut run.names).remove(place.at);
        run.bytes -= line(name);
        self.len -= 1;
        self.bytes -= line(name);
        self.join(place.run);
        Some(offset)
    }

    /// The names from the first on that is not before `start`.
    pub(crate) fn range(&self, start: &str) -> impl Iterator<Item = &str> {
        let (Ok(Place { run, at }) | Err(Place { run, at })) = self.place(start);
        let first = self.runs.get(run).map_or(&[][..], |run| &run.names[at..]);
        let others = self.runs.iter().skip(run + 1);
        let others = others.flat_map(|run| run.names.iter());
        first.iter().chain(others).map(|name| &**name)
    }

    /// All names.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        self.range("")
    }

    /// Where a name is, or would be.
    fn place(&self, name: &str) -> Result<Place, Place> {
        let run = self.runs.partition_point(|run| run.last() < name);
        let Some(found) = self.runs.get(run) else {
            return Err(Place { run, at: 0 });
        };
        match found.names.binary_search_by(|known| (**known).cmp(name)) {
            Ok(at) => Ok(Place { run, at }),
            Err(at) => Err(Place { run, at }),
        }
    }

    fn offset(&self, place: Place) -> u64 {
        let before: u64 = self.runs[..place.run].iter().map(|run| run.bytes).sum();
        let run = self.runs.get(place.run);
        let within = run.map_or(&[][..], |run| &run.names[..place.at]);
        before + within.iter().map(|name| line(name)).sum::<u64>()
    }

    /// Makes two of a run that is too long.
    fn divide(&mut self, at: usize) {
        let run = &mut self.runs[at];
        if run.names.len() <= RUN {
            return;
        }
        let behind = Arc::make_mut(&mut run.names).split_off(RUN / 2);
        let bytes = behind.iter().map(|name| line(name)).sum();
        run.bytes -= bytes;
        let names = Arc::new(behind);
        self.runs.insert(at + 1, Run { names, bytes });
    }

    /// Makes one of a run and the next or the one before, where they are short.
    fn join(&mut self, at: usize) {
        if self.runs[at].names.is_empty() {
            self.runs.remove(at);
            return;
        }
        for left in [at, at.wrapping_sub(1)] {
            if let Some([first, second]) = self.runs.get_mut(left..left.wrapping_add(2))
                && first.names.len() + second.names.len() <= RUN / 2
            {
                Arc::make_mut(&mut first.names).extend(second.names.iter().cloned());
                first.bytes += second.bytes;
                self.runs.remove(left + 1);
                return;
            }
        }
    }
}

impl<'a> FromIterator<&'a str> for Names {
    fn from_iter<T: IntoIterator<Item = &'a str>>(names: T) -> Names {
        let names: BTreeSet<&str> = names.into_iter().collect();
        let names: Vec<&str> = names.into_iter().collect();
        // Half full, so that the next ones find room.
        let runs: Vec<Run> = names.chunks(RUN / 2).map(Run::of).collect();
        Names {
            len: names.len(),
            bytes: runs.iter().map(|run| run.bytes).sum(),
            runs,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Change {
        Insert(String),
        Remove(String),
        /// So many names in order behind a prefix, and away again those that are not wanted.
        Fill(u8, usize),
        Clear(u8, usize),
    }

    fn change() -> impl Strategy<Value = Change> {
        let name = || "[a-c]{1,3}(/[a-cü]{1,2})?";
        let many = || (b'a'..=b'd', 1usize..3 * RUN);
        prop_oneof![
            8 => name().prop_map(Change::Insert),
            8 => name().prop_map(Change::Remove),
            1 => many().prop_map(|(prefix, names)| Change::Fill(prefix, names)),
            1 => many().prop_map(|(prefix, names)| Change::Clear(prefix, names)),
        ]
    }

    fn check_invariants(names: &Names) {
        let sizes = names.runs.iter().map(|run| run.names.len());
        assert!(sizes.clone().all(|size| (1..=RUN).contains(&size)));
        assert_eq!(sizes.sum::<usize>(), names.len);
        for run in &names.runs {
            let lines = run.names.iter().map(|name| line(name));
            assert_eq!(lines.sum::<u64>(), run.bytes);
        }
        let bytes = names.runs.iter().map(|run| run.bytes);
        assert_eq!(bytes.sum::<u64>(), names.bytes);
        // Short ones were joined.
        let short = |pair: &[Run]| pair[0].names.len() + pair[1].names.len() <= RUN / 4;
        assert!(!names.runs.windows(2).any(short));
    }

    fn text(names: &BTreeSet<String>) -> String {
        names.iter().map(|name| format!("{name}\n")).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        #[test]
        fn names_are_a_set_whose_lines_are_where_they_are_said_to_be(
            begin in prop::collection::btree_set("[a-c]{1,4}", 0..40),
            changes in prop::collection::vec(change(), 1..40),
            starts in prop::collection::vec("[a-d]{0,3}", 4),
        ) {
            let mut model: BTreeSet<String> = begin;
            let mut names: Names = model.iter().map(String::as_str).collect();
            let mut lines = text(&model);
            let snapshot = (names.clone(), model.clone());
            for change in changes {
                let (adds, changed) = match change {
                    Change::Insert(name) => (true, vec![name]),
                    Change::Remove(name) => (false, vec![name]),
                    Change::Fill(prefix, many) | Change::Clear(prefix, many) => {
                        let name = |number| format!("{}{number:05}", char::from(prefix));
                        let adds = matches!(change, Change::Fill(..));
                        (adds, (0..many).map(name).collect())
                    }
                };
                for name in changed {
                    let known = model.contains(&name);
                    prop_assert_eq!(names.contains(&name), known);
                    let offset = match adds {
                        true => names.insert(&name),
                        false => names.remove(&name),
                    };
                    prop_assert_eq!(offset.is_some(), known != adds);
                    let Some(offset) = offset else { continue };
                    let offset = offset as usize;
                    let line = format!("{name}\n");
                    match adds {
                        true => {
                            lines.insert_str(offset, &line);
                            model.insert(name);
                        }
                        false => {
                            prop_assert_eq!(&lines[offset..offset + line.len()], &line);
                            lines.replace_range(offset..offset + line.len(), "");
                            model.remove(&name);
                        }
                    }
                }
                check_invariants(&names);
                prop_assert_eq!(&lines, &text(&model));
                prop_assert_eq!((names.len(), names.bytes()), (model.len(), lines.len() as u64));
                for start in &starts {
                    let wanted = model.range(start.clone()..).map(String::as_str);
                    prop_assert!(names.range(start).eq(wanted));
                }
            }
            // What was cloned is as it was.
            prop_assert!(snapshot.0.iter().eq(snapshot.1.iter().map(String::as_str)));
        }
    }
}
