//! Conditions and actions.

use bytes::Bytes;
use objects::{Action, Clause, Insert, MAX_CLAUSES, Predicate, Update, Version, WriteError, aguid};

use crate::net::net;
use crate::support::{name, root};

fn splice(offset: Option<u64>, delete: u64, insert: &'static str) -> Action {
    let insert = match insert {
        "" => Insert::Nothing,
        text => Insert::Bytes(Bytes::from_static(text.as_bytes())),
    };
    Action::Splice {
        offset,
        delete,
        insert,
    }
}

#[tokio::test]
async fn of_two_conditional_updates_exactly_one_wins() {
    let net = net(3).await;
    net.put(0, "cat", "base", vec![]).await.unwrap();
    for round in 1..6 {
        let both = (0..2).map(|which| {
            let content = format!("{round} {which}");
            let net = &net;
            async move {
                net.put(0, "cat", &content, vec![Predicate::Version(round)])
                    .await
            }
        });
        let both = futures::future::join_all(both).await;
        let won = both.iter().filter(|outcome| outcome.is_ok()).count();
        assert_eq!(won, 1, "{both:?}");
        let lost = both.into_iter().find_map(Result::err).unwrap();
        let WriteError::Refused(why) = lost else {
            panic!("{lost}");
        };
        let next = round + 1;
        assert_eq!(
            why,
            [format!("version {round} was wanted, the newest is {next}")]
        );
    }
}

#[tokio::test]
async fn unconditional_updates_come_one_after_the_other() {
    let net = net(3).await;
    let writes = (0..8).map(|which| {
        let content = format!("{which}\n");
        let net = &net;
        async move {
            let bytes = Insert::Bytes(content.into());
            let append = Action::Splice {
                offset: None,
                delete: 0,
                insert: bytes,
            };
            net.act(0, "log", append).await
        }
    });
    let written = futures::future::try_join_all(writes).await.unwrap();
    let mut numbers: Vec<u64> = written.iter().map(|written| written.record.seq()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=8).collect::<Vec<_>>());
    let log = aguid(&net.nodes[0].owner(), &name("log"));
    let record = net.nodes[2].version(log, Version::Newest).await.unwrap();
    let text = net.read(record.root().unwrap()).await;
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["0", "1", "2", "3", "4", "5", "6", "7"]);
}

#[tokio::test]
async fn predicates_say_what_did_not_hold() {
    let net = net(1).await;
    let first = net
        .put(0, "cat", "12345", vec![Predicate::Version(0)])
        .await;
    let first = first.unwrap().record;
    let block = first.root().unwrap();
    let good = [
        Predicate::Version(1),
        Predicate::Vguid(first.vguid()),
        Predicate::Size(5),
        Predicate::Block {
            offset: 0,
            cid: block,
        },
    ];
    for (predicate, why) in [
        (Predicate::Version(0), "it exists already, as version 1"),
        (
            Predicate::Version(2),
            "version 2 was wanted, the newest is 1",
        ),
        (Predicate::Vguid(root("x")), "is not the newest version"),
        (Predicate::Size(4), "a size of 4 was wanted, it has 5 bytes"),
        (
            Predicate::Block {
                offset: 0,
                cid: root("x"),
            },
            "the block at 0 is",
        ),
        (
            Predicate::Block {
                offset: 1,
                cid: block,
            },
            "the block at 1 is none",
        ),
    ] {
        let predicates = good.iter().cloned().chain([predicate]).collect();
        let error = net.put(0, "cat", "no", predicates).await.unwrap_err();
        assert!(matches!(error, WriteError::Refused(_)), "{error}");
        assert!(error.to_string().contains(why), "{error}");
    }
    assert_eq!(
        net.put(0, "cat", "yes", good.to_vec())
            .await
            .unwrap()
            .record
            .seq(),
        2
    );
}

#[tokio::test]
async fn the_first_clause_that_holds_is_carried_out_as_a_whole() {
    let net = net(2).await;
    net.put(0, "cat", "0123456789", vec![]).await.unwrap();
    let clause = |predicate, actions| Clause {
        predicates: vec![predicate],
        actions,
    };
    let update = Update {
        clauses: vec![
            clause(Predicate::Size(3), vec![Action::Remove]),
            clause(
                Predicate::Size(10),
                vec![
                    splice(Some(0), 2, "ab"),
                    splice(Some(5), 0, "-"),
                    splice(None, 0, "!"),
                    splice(Some(8), u64::MAX, ""),
                ],
            ),
            clause(Predicate::Version(1), vec![Action::Remove]),
        ],
    };
    let record = net.nodes[0]
        .update(&name("cat"), update)
        .await
        .unwrap()
        .record;
    assert_eq!(record.seq(), 2);
    assert_eq!(net.read(record.root().unwrap()).await, "ab234-56");
    assert_eq!(record.fields().size, 8);
    // An action that cannot be done undoes those before it.
    let update = Update::when(
        vec![],
        vec![splice(Some(0), 1, ""), splice(Some(99), 0, "beyond")],
    );
    let error = net.nodes[0].update(&name("cat"), update).await.unwrap_err();
    assert!(matches!(error, WriteError::Splice(_)), "{error}");
    let read = net.nodes[1].version(record.aguid(), Version::Newest).await;
    assert_eq!(read.unwrap(), record);
}

#[tokio::test]
async fn updates_are_bounded() {
    let net = net(1).await;
    let nothing = Update::default();
    let empty = Update::when(vec![], vec![]);
    let many = Update {
        clauses: vec![
            Update::when(vec![], vec![Action::Remove]).clauses[0].clone();
            MAX_CLAUSES + 1
        ],
    };
    for update in [nothing, empty, many] {
        let error = net.nodes[0].update(&name("cat"), update).await.unwrap_err();
        assert!(matches!(error, WriteError::Malformed(_)), "{error}");
    }
}
