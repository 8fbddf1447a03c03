//! Both stores against a model: a map of claims and releases.

use std::collections::BTreeMap;

use claims::{CLOCKS_APART, Item, Limits, RELEASE_LIFE, State, Store};
use guid::Span;
use proptest::prelude::*;

use crate::support::{Bench, DAY, NOW, all_free, benches, block, claim, name, release};

const BLOCKS: u16 = 3;
const CLAIMANTS: u16 = 3;

#[derive(Clone, Debug)]
enum Step {
    Claim(u16, u16),
    /// Released so many hours ago, or ahead.
    Release(u16, u16, i64),
    PutAgain(u16),
    Discard(u16, u16),
    /// Hours pass.
    Pass(u64),
    Sweep,
}

fn step() -> impl Strategy<Value = Step> {
    let names = (0..BLOCKS, 0..CLAIMANTS);
    let hours = prop_oneof![0_i64..3, -30_i64..0, 2_100_i64..2_200];
    prop_oneof![
        4 => names.clone().prop_map(|(of, by)| Step::Claim(of, by)),
        4 => (names.clone(), hours).prop_map(|((of, by), ago)| Step::Release(of, by, ago)),
        2 => (0..BLOCKS).prop_map(Step::PutAgain),
        1 => names.prop_map(|(of, by)| Step::Discard(of, by)),
        2 => prop_oneof![1_u64..30, 2_100_u64..2_200].prop_map(Step::Pass),
        1 => Just(Step::Sweep),
    ]
}

fn steps(most: usize) -> impl Strategy<Value = Vec<Step>> {
    proptest::collection::vec(step(), 1..most)
}

/// What is kept, said as plainly as can be.
#[derive(Default)]
struct Model {
    now: u64,
    limit: usize,
    /// By block and claimant: when it came, and the time of its release.
    rows: BTreeMap<(u16, u16), (u64, Option<u64>)>,
    puts: BTreeMap<u16, u64>,
}

impl Model {
    fn is_live(&self, release: Option<u64>) -> bool {
        release.is_none_or(|time| time + RELEASE_LIFE > self.now)
    }

    fn live(&self) -> impl Iterator<Item = (&(u16, u16), &(u64, Option<u64>))> {
        self.rows.iter().filter(|(_, row)| self.is_live(row.1))
    }

    fn version(&self, of: u16, by: u16) -> Option<u64> {
        let row = self.rows.get(&(of, by)).filter(|row| self.is_live(row.1));
        row.map(|(_, release)| release.map_or(1, |time| (1 << 32) + time / DAY))
    }

    fn drop_ended(&mut self) {
        let now = self.now;
        self.rows
            .retain(|_, (_, release)| release.is_none_or(|time| time + RELEASE_LIFE > now));
    }

    /// Whether it is taken, and the version known then.
    fn put(&mut self, of: u16, by: u16, release: Option<u64>) -> Option<(u64, bool)> {
        if let Some(time) = release {
            let late = time + RELEASE_LIFE + CLOCKS_APART <= self.now;
            if late || time > self.now + CLOCKS_APART {
                return None;
            }
        }
        let version = release.map_or(1, |time| (1 << 32) + time / DAY);
        let kept = self.version(of, by).unwrap_or_default();
        if !self.is_live(release) || kept >= version {
            return Some((kept.max(version), false));
        }
        if !self.rows.contains_key(&(of, by)) && self.rows.len() >= self.limit {
            self.drop_ended();
            if self.rows.len() >= self.limit {
                return None;
            }
        }
        self.rows.insert((of, by), (self.now, release));
        Some((version, true))
    }

    fn state(&self, of: u16) -> State {
        let rows: Vec<_> = self.live().filter(|((block, _), _)| *block == of).collect();
        if rows.iter().any(|(_, (_, release))| release.is_none()) {
            return State::Claimed;
        }
        match rows.iter().map(|(_, (arrived, _))| *arrived).max() {
            Some(last) if self.puts.get(&of).is_none_or(|put| *put < last) => {
                State::Free { since: last }
            }
            _ => State::Unclaimed,
        }
    }

    /// Whether a put of the block says anything.
    fn is_released(&self, of: u16) -> bool {
        let mut rows = self
            .live()
            .filter(|((block, _), _)| *block == of)
            .peekable();
        rows.peek().is_some() && rows.all(|(_, (_, release))| release.is_some())
    }
}

async fn run(bench: &Bench, model: &mut Model, step: &Step) {
    let store = &bench.store;
    match *step {
        Step::Claim(of, by) => {
            let put = store.put(claim(of, by)).await.ok();
            let put = put.map(|outcome| (outcome.version, outcome.new));
            assert_eq!(put, model.put(of, by, None));
        }
        Step::Release(of, by, ago) => {
            let time = model.now.saturating_add_signed(-ago * 3_600);
            let put = store.put(release(of, by, time)).await.ok();
            let put = put.map(|outcome| (outcome.version, outcome.new));
            assert_eq!(put, model.put(of, by, Some(time)));
        }
        Step::PutAgain(of) => {
            store.put_again(&block(of)).await.unwrap();
            if model.is_released(of) {
                model.puts.insert(of, model.now);
            }
        }
        Step::Discard(of, by) => {
            store.discard(name(of, by)).await.unwrap();
            model.rows.remove(&(of, by));
        }
        Step::Pass(hours) => {
            model.now += hours * 3_600;
            bench.clock.set(model.now);
        }
        Step::Sweep => {
            store.sweep().await.unwrap();
            model.drop_ended();
            let left = model.rows.len() as u64;
            assert_eq!(store.usage().claims, left);
        }
    }
}

async fn compare(store: &dyn Store, model: &Model) {
    let mut free = Vec::new();
    for of in 0..BLOCKS {
        let state = store.state(&block(of)).await.unwrap();
        assert_eq!(state, model.state(of), "block {of}");
        if let State::Free { since } = state {
            free.push((block(of), since));
        }
        for by in 0..CLAIMANTS {
            let version = store.version(name(of, by)).await.unwrap();
            assert_eq!(version, model.version(of, by), "claim {by} of {of}");
            let got = store.get(name(of, by)).await.unwrap();
            assert_eq!(got.map(|item| item.version()), version);
        }
    }
    free.sort_by_key(|(block, _)| blocks::guid_of(block));
    assert_eq!(all_free(store, 2).await, free);
    let listed = store.list(Span::full(), None, 100).await.unwrap();
    assert_eq!(listed.len(), model.live().count());
    assert!(listed.is_sorted_by_key(|(name, _)| (name.place(), name.to_bytes())));
    for (name, version) in listed {
        assert_eq!(store.version(name).await.unwrap(), Some(version));
    }
    // All of the model, or fewer where some ended that a full store has made room of.
    assert!(store.usage().claims >= model.live().count() as u64);
    assert!(store.usage().claims <= model.limit as u64);
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
}

fn follow(steps: &[Step], limit: u64) {
    runtime().block_on(async {
        for bench in benches(Limits { claims: limit }) {
            let mut model = Model {
                now: NOW,
                limit: limit as usize,
                ..Model::default()
            };
            for step in steps {
                run(&bench, &mut model, step).await;
                compare(&*bench.store, &model).await;
            }
        }
    });
}

/// What the items of a run are, at one moment.
fn items(steps: &[Step]) -> Vec<Item> {
    let item = |step: &Step| match *step {
        Step::Claim(of, by) => Some(claim(of, by)),
        Step::Release(of, by, ago) => {
            Some(release(of, by, NOW.saturating_add_signed(-ago * 3_600)))
        }
        _ => None,
    };
    steps.iter().filter_map(item).collect()
}

/// What others are told of a store, and what it makes of it.
async fn said(store: &dyn Store) -> (Vec<(claims::Claim, u64)>, Vec<State>) {
    let mut states = Vec::new();
    for of in 0..BLOCKS {
        states.push(store.state(&block(of)).await.unwrap());
    }
    (store.list(Span::full(), None, 100).await.unwrap(), states)
}

fn two_orders() -> impl Strategy<Value = (Vec<Item>, Vec<Item>)> {
    steps(30).prop_flat_map(|steps| {
        let items = items(&steps);
        (Just(items.clone()), Just(items).prop_shuffle())
    })
}

proptest! {
    // Each writes to the disk, step by step.
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn both_stores_do_what_the_model_does(steps in steps(40)) {
        follow(&steps, 100);
    }

    #[test]
    fn also_where_there_is_no_room(steps in steps(40)) {
        follow(&steps, 3);
    }

    #[test]
    fn the_order_of_arrival_does_not_matter((one, other) in two_orders()) {
        runtime().block_on(async {
            let mut all = Vec::new();
            for items in [&one, &other] {
                for bench in benches(Limits::default()) {
                    // Some twice, as where an answer was lost.
                    for item in items.iter().chain(items.iter().step_by(2)) {
                        let _ = bench.store.put(*item).await;
                    }
                    all.push(said(&*bench.store).await);
                }
            }
            assert!(all.iter().all(|said| *said == all[0]), "{all:#?}");
        });
    }

    #[test]
    fn a_release_never_becomes_a_claim_again(steps in steps(40)) {
        runtime().block_on(async {
            for bench in benches(Limits::default()) {
                let released = release(0, 0, NOW);
                bench.store.put(released).await.unwrap();
                let mut now = NOW;
                for step in &steps {
                    let item = match *step {
                        // As much time as the release has.
                        Step::Pass(hours) if now + hours * 3_600 < NOW + RELEASE_LIFE => {
                            now += hours * 3_600;
                            bench.clock.set(now);
                            continue;
                        }
                        Step::Sweep => {
                            bench.store.sweep().await.unwrap();
                            continue;
                        }
                        Step::Claim(_, by) => claim(0, by),
                        Step::Release(_, by, ago) => {
                            release(0, by, now.saturating_add_signed(-ago * 3_600))
                        }
                        _ => continue,
                    };
                    let _ = bench.store.put(item).await;
                    let _ = bench.store.put(claim(0, 0)).await;
                    let version = bench.store.version(name(0, 0)).await.unwrap();
                    assert!(version >= Some(released.version()), "{version:?}");
                }
            }
        });
    }
}
