//! A process that is killed while it writes, as often as it takes to hit it in the middle.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::Arc;

use claims::{FjallClaims, Item, Limits, State, Store};
use guid::Span;
use tempfile::TempDir;

use crate::support::{NOW, TestClock, block, claim, name, release};

/// Where the process that is killed has its store.
const STORE: &str = "CLAIMS_KILLED_STORE";

/// Writers at a time.
const WRITERS: u16 = 32;

fn open(path: &std::path::Path) -> FjallClaims {
    FjallClaims::open(path, Limits::default(), Arc::new(TestClock::new())).unwrap()
}

/// Claims without end, releases every third and says what is acknowledged. Does nothing when it
/// is run for itself.
#[test]
fn writes_until_it_is_killed() {
    let Some(path) = std::env::var_os(STORE) else {
        return;
    };
    let store = open(path.as_ref());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(futures::future::join_all((0..WRITERS).map(|writer| {
        let store = &store;
        async move {
            for number in (writer..u16::MAX).step_by(usize::from(WRITERS)) {
                store.put(claim(number, number)).await.unwrap();
                println!("claimed {number}");
                if number % 3 == 0 {
                    store.put(release(number, number, NOW)).await.unwrap();
                    println!("released {number}");
                }
            }
        }
    })));
}

/// Kills the process after so many acknowledgements; all that it gave.
fn killed_after(path: &std::path::Path, acknowledged: usize) -> Vec<String> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "killed::writes_until_it_is_killed",
            "--nocapture",
        ])
        .env(STORE, path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let is_one = |line: &String| line.starts_with("claimed ") || line.starts_with("released ");
    let one = || lines.next().map(Result::unwrap);
    let mut all: Vec<String> = std::iter::from_fn(one)
        .filter(is_one)
        .take(acknowledged)
        .collect();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(all.len(), acknowledged, "it ended by itself");
    // What it said before it was hit; a line that was cut off has no number.
    all.extend(lines.map_while(Result::ok).filter(is_one));
    all
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_kill() {
    for after in [1, 40, 333] {
        let directory = TempDir::new().unwrap();
        let lines = killed_after(directory.path(), after);
        let store = open(directory.path());
        for line in &lines {
            let (what, number) = line.split_once(' ').unwrap();
            let Ok(number) = number.parse() else { continue };
            let kept = store.get(name(number, number)).await.unwrap().unwrap();
            if what == "released" {
                assert_eq!(kept, release(number, number, NOW));
                let state = store.state(&block(number)).await.unwrap();
                assert_eq!(state, State::Free { since: NOW });
            }
        }
        // And it goes on as if nothing had been.
        let listed = store.list(Span::full(), None, usize::MAX).await.unwrap();
        assert_eq!(store.usage().claims, listed.len() as u64);
        let released = listed.iter();
        let released = released.filter(|(_, version)| Item::is_release_version(*version));
        let released = released.count();
        drop(store);
        let clock = TestClock::new();
        clock.advance(claims::RELEASE_LIFE);
        let store = FjallClaims::open(directory.path(), Limits::default(), Arc::new(clock));
        assert_eq!(store.unwrap().sweep().await.unwrap(), released);
    }
}
