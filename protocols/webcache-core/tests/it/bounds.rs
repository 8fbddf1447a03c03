//! What others can make grow has a bound.

use std::collections::BTreeMap;

use guid::Guid;
use webcache_core::{Config, ConfigError, Copied, Input, Message, Offered, Output, Scheme, Source};

use crate::net::{Net, Origin};

fn small(scheme: Scheme) -> Config {
    Config {
        scheme,
        max_asks: 4,
        max_waiting: 3,
        max_places: 3,
        max_entries: 5,
        max_private: 2,
        ..Config::default()
    }
}

#[test]
fn a_crowd_at_the_home_is_sent_to_the_origin() {
    for scheme in [Scheme::HomeStore, Scheme::Directory] {
        let mut net = Net::with(small(scheme), 10);
        let object = net.object_at(3, 1);
        net.origin.insert(object, Origin::Public(1));
        net.origin_is_slow = true;
        let tickets: Vec<_> = (0..10).map(|peer| net.request(peer, object)).collect();
        net.settle();
        net.origin_is_slow = false;
        net.settle();
        for ticket in tickets {
            let source = net.source_of(ticket).expect("an answer");
            assert!(
                !matches!(source, Source::Failed | Source::Direct),
                "{source:?}"
            );
        }
        assert!(net.trips.len() > 1, "{scheme:?}: all waited");
    }
}

#[test]
fn a_crowd_of_clients_goes_by_itself() {
    let mut net = Net::with(small(Scheme::HomeStore), 10);
    let object = net.object_at(3, 1);
    net.origin.insert(object, Origin::Public(1));
    let tickets: Vec<_> = (0..5).map(|_| net.request(0, object)).collect();
    net.settle();
    let direct = |ticket: &&webcache_core::Ticket| net.source_of(**ticket) == Some(Source::Direct);
    assert_eq!(tickets.iter().filter(direct).count(), 2);
}

#[test]
fn entries_and_offers_have_no_more_room_than_they_have() {
    let mut net = Net::with(small(Scheme::Directory), 2);
    for number in 0..20 {
        let object = net.object_at(1, number);
        net.origin.insert(object, Origin::Public(1));
        net.get(0, object);
    }
    assert_eq!(net.nodes[&1].cache.entries().count(), 5);
    assert_eq!(net.stats(1).forgotten, 15);
    let copy = Copied {
        version: 1,
        size: 1,
        fresh_us: 1_000_000,
    };
    let offered = |number: u128, delegates: usize| Offered {
        object: Guid::new(number),
        copy,
        delegates: vec![9; delegates],
    };
    let unexpected = net.stats(1).unexpected;
    let long = (0..65).map(|number| offered(number, 0)).collect();
    net.deliver(0, 1, Message::Offer { objects: long });
    net.deliver(
        0,
        1,
        Message::Offer {
            objects: vec![offered(0, 5)],
        },
    );
    assert_eq!(net.stats(1).unexpected, unexpected + 2);
    assert_eq!(net.stats(1).taken_over, 0);
}

#[test]
fn settings_that_cannot_be_are_refused() {
    assert_eq!(Config::default().validate(), Ok(()));
    let config = Config {
        delegates: 5,
        ..Config::default()
    };
    assert_eq!(config.validate(), Err(ConfigError::Delegates));
    let config = Config {
        max_asks: 0,
        ..Config::default()
    };
    assert_eq!(config.validate(), Err(ConfigError::Zero("max_asks")));
}

#[test]
fn two_runs_of_a_seed_are_the_same() {
    let run = |seed| {
        let mut cache = webcache_core::Webcache::new(small(Scheme::Directory), 1u32, seed);
        let mut said: BTreeMap<u64, Vec<Output<u32>>> = BTreeMap::new();
        let copy = Copied {
            version: 1,
            size: 1,
            fresh_us: 1_000_000,
        };
        let objects = vec![Offered {
            object: Guid::new(1),
            copy,
            delegates: vec![2, 3, 4, 5],
        }];
        let now = overlay_core::Time::ZERO;
        let offer = Input::Offered { from: 2, objects };
        cache.handle_input(now, offer);
        for ask in 0..50 {
            let message = Message::Get {
                ask,
                object: Guid::new(1),
                version: Some(9),
                without: None,
            };
            let from = 10 + ask as u32;
            cache.handle_input(
                now,
                Input::Received {
                    from,
                    message,
                    have: None,
                },
            );
            said.entry(ask)
                .or_default()
                .extend(std::iter::from_fn(|| cache.poll_output()));
        }
        said
    };
    assert_eq!(run(7), run(7));
    assert_ne!(run(7), run(8), "delegates are drawn");
}

/// A question of a peer as the home sees it.
fn ask_home(net: &mut Net, from: u32, object: Guid, ask: u64) {
    let message = Message::Get {
        ask,
        object,
        version: None,
        without: None,
    };
    net.deliver(from, 3, message);
}

#[test]
fn one_peer_cannot_have_all_places_of_a_home() {
    for scheme in [Scheme::HomeStore, Scheme::Directory] {
        let config = Config {
            scheme,
            max_places: 5,
            ..Config::default()
        };
        let mut net = Net::with(config, 10);
        let objects: Vec<Guid> = (0..8).map(|number| net.object_at(3, number)).collect();
        for object in &objects {
            net.origin.insert(*object, Origin::Public(1));
        }
        net.origin_is_slow = true;
        for (object, ask) in objects.iter().zip(0..) {
            ask_home(&mut net, 0, *object, ask);
        }
        assert_eq!(net.stats(3).turned_away, 3, "{scheme:?}");
        // It takes nothing from others.
        ask_home(&mut net, 1, objects[7], 1);
        assert_eq!(net.stats(3).turned_away, 3, "{scheme:?}");
        // What it had is free again once it has had its answers.
        net.origin_is_slow = false;
        net.pass(std::time::Duration::from_secs(200));
        for (number, ask) in (100..105).zip(0..) {
            let object = net.object_at(3, number);
            ask_home(&mut net, 0, object, ask);
        }
        assert_eq!(net.stats(3).turned_away, 3, "{scheme:?}");
    }
}

#[test]
fn who_asks_again_and_again_for_one_object_has_one_place() {
    let mut net = Net::with(small(Scheme::HomeStore), 10);
    let object = net.object_at(3, 1);
    net.origin.insert(object, Origin::Public(1));
    net.origin_is_slow = true;
    for ask in 0..20 {
        ask_home(&mut net, 0, object, ask);
    }
    ask_home(&mut net, 1, object, 7);
    assert_eq!(net.stats(3).turned_away, 0);
    net.origin_is_slow = false;
    net.settle();
    // The last question of each is answered, and no other.
    let given = net.log.iter().filter_map(|(_, to, message)| match message {
        Message::Object { ask, .. } => Some((*to, *ask)),
        _ => None,
    });
    assert_eq!(given.collect::<Vec<_>>(), [(0, 19), (1, 7)]);
}

#[test]
fn numbers_of_questions_cannot_be_foretold() {
    let numbers = |seed| {
        let mut cache = webcache_core::Webcache::new(Config::default(), 1u32, seed);
        let mut numbers = Vec::new();
        for object in 0..20 {
            let request = Input::Request {
                ticket: webcache_core::Ticket(object),
                object: Guid::new(object.into()),
                have: None,
            };
            cache.handle_input(overlay_core::Time::ZERO, request);
            while let Some(output) = cache.poll_output() {
                if let Output::ToHome {
                    message: Message::Get { ask, .. },
                    ..
                } = output
                {
                    numbers.push(ask);
                }
            }
        }
        numbers
    };
    let (one, other) = (numbers(7), numbers(8));
    assert_eq!(one, numbers(7), "a seed decides");
    assert!(one.iter().all(|number| !other.contains(number)));
    let steps: std::collections::BTreeSet<u64> = one
        .windows(2)
        .map(|pair| pair[1].wrapping_sub(pair[0]))
        .collect();
    assert_eq!((one.len(), steps.len()), (20, 19), "no two steps are alike");
}

#[test]
fn one_neighbour_does_not_fill_what_all_may_hand_over() {
    let config = Config {
        max_entries: 100,
        max_pulls: 1,
        ..Config::default()
    };
    let mut cache = webcache_core::Webcache::new(config, 1u32, 7);
    let now = overlay_core::Time::ZERO;
    let offer = |from, numbers: std::ops::Range<u128>| {
        let offered = |number| Offered {
            object: Guid::new(number),
            copy: Copied {
                version: 1,
                size: 1,
                fresh_us: 60_000_000,
            },
            delegates: Vec::new(),
        };
        let objects = numbers.map(offered).collect();
        Input::Offered { from, objects }
    };
    // One offers as much as it can, and some of it twice.
    for numbers in [0..64, 32..64, 64..128, 128..192] {
        cache.handle_input(now, offer(2, numbers));
    }
    cache.handle_input(now, offer(3, 1000..1001));
    let mut fetched = Vec::new();
    while let Some(output) = cache.poll_output() {
        if let Output::Send {
            to,
            message: Message::Fetch { ask, object, .. },
        } = output
        {
            fetched.push((to, object));
            let gone = Input::Received {
                from: to,
                message: Message::Gone { ask, object },
                have: None,
            };
            cache.handle_input(now, gone);
        }
    }
    assert!(fetched.contains(&(3, Guid::new(1000))));
    // The one that was being fetched, and its share of what waits.
    assert_eq!(fetched.len(), 1 + 64 + 1);
    fetched.sort_unstable();
    fetched.dedup();
    assert_eq!(fetched.len(), 1 + 64 + 1, "nothing is fetched twice");
}
