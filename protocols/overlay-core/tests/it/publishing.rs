//! Pointers: left, renewed, moved, withdrawn and expired (L3 to L7).

use std::time::Duration;

use overlay_core::{Input, Outcome, RouteFailure};

use crate::net::Net;

#[test]
fn unpublishing_takes_every_pointer_away() {
    let mut net = Net::grow(1, 100);
    let object = net.random_key();
    net.published(5, object);
    let pointing = net.pointing(object, 5);
    for salt in 0..3 {
        let root = net.closest(object.salted(salt))[0];
        assert!(pointing.contains(&root), "root {root} of {pointing:?}");
    }
    let request = net.unpublish(5, object);
    net.run_until_done(request);
    assert_eq!(net.done[&request], Ok(Outcome::Unpublished));
    assert_eq!(net.pointing(object, 5), []);
    assert_eq!(net.located(40, object, 1), Err(RouteFailure::NotFound));
    let again = net.unpublish(5, object);
    assert_eq!(net.done[&again], Err(RouteFailure::NotPublished));
}

#[test]
fn a_pointer_that_nobody_renews_is_dropped_in_time() {
    let mut net = Net::grow(2, 40);
    let object = net.random_key();
    net.published(5, object);
    // It lives, but nothing it says arrives any more, so it seems to be dead as well.
    let left = net.pointing(object, 5);
    net.cut
        .extend(left.iter().map(|node| (5.min(*node), 5.max(*node))));
    for node in left {
        net.nodes.remove(&node).expect("it lives");
    }
    net.run(Duration::from_secs(16 * 60));
    for node in net.pointing(object, 5) {
        assert_ne!(node, 5);
    }
    assert!(net.located(20, object, 1).is_ok(), "it found new places");
    net.kill(5);
    net.run(Duration::from_secs(16 * 60));
    assert_eq!(net.pointing(object, 5), []);
}

#[test]
fn a_living_object_is_found_for_hours() {
    let mut net = Net::grow(3, 50);
    let object = net.random_key();
    net.published(5, object);
    for _ in 0..8 {
        net.run(Duration::from_secs(15 * 60));
        assert!(net.located(20, object, 1).is_ok());
        assert!(net.pointing(object, 5).len() >= 3);
    }
}

#[test]
fn a_new_root_hides_nothing() {
    let mut net = Net::grow(4, 60);
    let objects: Vec<_> = (0..300).map(|_| net.random_key()).collect();
    for (number, object) in objects.iter().enumerate() {
        net.published(number as u32 % 60, *object);
    }
    // A way that was walked within the last second is not walked again for a new root (L7).
    net.run(Duration::from_secs(1));
    let mut moved = 0;
    for _ in 0..10 {
        let before: Vec<_> = objects
            .iter()
            .map(|object| net.closest(*object)[0])
            .collect();
        let joiner = net.add();
        net.tell(joiner, 0);
        net.run_until_active(joiner);
        // At once, by every root on its own: no pointer has had time to move.
        for (object, before) in objects.iter().zip(before) {
            if net.closest(*object)[0] != before {
                moved += 1;
                assert!(net.located(joiner, *object, 1).is_ok(), "at {}", net.now);
            }
        }
        net.run(Duration::from_secs(1));
        for (number, object) in objects.iter().enumerate() {
            let root = net.closest(*object)[0];
            let holder = number as u32 % 60;
            if root == joiner && root != holder {
                assert!(
                    net.pointing(*object, holder).contains(&root),
                    "at {}",
                    net.now
                );
            }
        }
    }
    assert!(moved > 20, "{moved} roots moved");
}

#[test]
fn dead_roots_hide_nothing_and_are_replaced() {
    let mut net = Net::grow(5, 100);
    let mut objects = Vec::new();
    for holder in 0..12 {
        let object = net.random_key();
        net.published(holder, object);
        objects.push((holder, object));
    }
    for (holder, object) in objects {
        let root = net.closest(object)[0];
        if root < 12 {
            continue;
        }
        net.kill(root);
        // Nobody has noticed yet.
        let from = net.random_node();
        let found = net.located(from, object, 1).expect("by another root");
        assert_eq!(found[0].holder.peer, holder);
        // By then everyone who has the dead one in its table has asked it (P16).
        net.run(Duration::from_secs(80));
        let root = net.closest(object)[0];
        let known = root == holder || net.pointing(object, holder).contains(&root);
        assert!(known, "the new root knows it at {}", net.now);
    }
}

#[test]
fn a_root_that_lost_its_pointers_learns_them_again() {
    let mut net = Net::grow(6, 40);
    let mut object = net.random_key();
    while net.closest(object)[0] == 5 {
        object = net.random_key();
    }
    net.published(5, object);
    let root = net.closest(object)[0];
    net.restart(root, 0);
    assert!(!net.pointing(object, 5).contains(&root));
    net.run(Duration::from_secs(6 * 60));
    assert!(net.pointing(object, 5).contains(&root));
}

#[test]
fn publishing_again_renews_and_ends_once() {
    let mut net = Net::grow(7, 40);
    let object = net.random_key();
    let requests: Vec<_> = (0..10).map(|_| net.publish(5, object)).collect();
    net.run(Duration::from_secs(1));
    for request in requests {
        assert!(matches!(net.done[&request], Ok(Outcome::Published(_))));
    }
    let before = net.pointing(object, 5);
    net.published(5, object);
    assert_eq!(net.pointing(object, 5), before);
}

#[test]
fn a_node_that_leaves_ends_what_it_was_asked() {
    let mut net = Net::grow(8, 40);
    let object = net.random_key();
    let publish = net.publish(5, object);
    let search = net.locate_object(5, object.salted(9), 1);
    net.input(5, Input::Leave);
    assert_eq!(net.done[&publish], Err(RouteFailure::Left));
    assert_eq!(net.done[&search], Err(RouteFailure::Left));
    let late = net.publish(5, object);
    assert_eq!(net.done[&late], Err(RouteFailure::Left));
}

#[test]
fn hundreds_that_a_joiner_publishes_begin_when_it_is_alone_after_all() {
    let mut net = Net::grow(10, 0);
    let node = net.add();
    let requests: Vec<_> = (0..500)
        .map(|_| {
            let object = net.random_key();
            net.publish(node, object)
        })
        .collect();
    net.run(Duration::from_secs(1));
    for request in requests {
        assert!(matches!(net.done[&request], Ok(Outcome::Published(_))));
    }
}

#[test]
fn a_thousand_objects_are_published_without_a_burst() {
    let mut net = Net::grow(9, 60);
    let objects: Vec<_> = (0..1000).map(|_| net.random_key()).collect();
    let requests: Vec<_> = objects
        .iter()
        .map(|object| net.publish(5, *object))
        .collect();
    net.run(Duration::from_secs(8));
    for request in requests {
        assert!(matches!(net.done[&request], Ok(Outcome::Published(_))));
    }
    for object in objects.iter().step_by(50) {
        assert!(net.located(40, *object, 1).is_ok());
    }
}
