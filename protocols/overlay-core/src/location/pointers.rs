//! The pointers a node keeps for others (L4, L5, L16).

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::time::Duration;

use guid::Guid;

use crate::location::message::Full;
use crate::rtt::Rtt;
use crate::{Contact, LocationConfig, Peer, Time};

/// Where a way of a pointer went on from here when its publisher asked last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Onward<P> {
    /// To which root.
    pub(crate) salt: u8,
    /// The next hop; `None` where this node was the root.
    pub(crate) next: Option<P>,
    /// How often the publisher was told that this is no longer so.
    pub(crate) told: u8,
}

/// That a node holds an object.
#[derive(Clone, Debug)]
pub(crate) struct Pointer<P> {
    pub(crate) holder: P,
    pub(crate) expires: Time,
    /// One for each of the object's roots whose way passes here.
    pub(crate) ways: Vec<Onward<P>>,
}

/// A node that pointers lead to.
#[derive(Clone, Debug)]
pub(crate) struct Holder<P> {
    pub(crate) contact: Contact<P>,
    pub(crate) rtt: Rtt,
    /// Pointers to it.
    count: usize,
}

/// All pointers, by object and by holder.
#[derive(Clone, Debug)]
pub(crate) struct Pointers<P> {
    objects: BTreeMap<Guid, Vec<Pointer<P>>>,
    holders: BTreeMap<P, Holder<P>>,
    of_holder: BTreeSet<(P, Guid)>,
}

impl<P: Peer> Pointers<P> {
    pub(crate) fn new() -> Self {
        Pointers {
            objects: BTreeMap::new(),
            holders: BTreeMap::new(),
            of_holder: BTreeSet::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.of_holder.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.of_holder.is_empty()
    }

    /// Keeps or renews a pointer (L4). `way` is what is noted of the way it lies on.
    pub(crate) fn insert(
        &mut self,
        config: &LocationConfig,
        holder: &Contact<P>,
        object: Guid,
        expires: Time,
        way: Option<Onward<P>>,
    ) -> Result<(), Full> {
        let peer = holder.peer;
        if !self.of_holder.contains(&(peer, object)) {
            self.has_room(config, peer, object)?;
            self.of_holder.insert((peer, object));
            let pointer = Pointer {
                holder: peer,
                expires,
                ways: Vec::new(),
            };
            self.objects.entry(object).or_default().push(pointer);
            let known = self.holders.entry(peer).or_insert_with(|| Holder {
                contact: holder.clone(),
                rtt: Rtt::default(),
                count: 0,
            });
            known.count += 1;
        }
        let known = self.holders.get_mut(&peer);
        let known = known.expect("a pointer to it is kept");
        if !holder.addrs.is_empty() {
            known.contact.addrs = holder.addrs.clone();
        }
        let pointers = self.objects.get_mut(&object);
        let pointer = pointers.and_then(|all| all.iter_mut().find(|one| one.holder == peer));
        let pointer = pointer.expect("it is in the index");
        pointer.expires = expires;
        if let Some(way) = way {
            pointer.ways.retain(|known| known.salt != way.salt);
            pointer.ways.push(way);
        }
        Ok(())
    }

    fn has_room(&self, config: &LocationConfig, peer: P, object: Guid) -> Result<(), Full> {
        let count = self.holders.get(&peer).map_or(0, |holder| holder.count);
        if count >= config.max_pointers_of_publisher {
            return Err(Full::Publisher);
        }
        let known = self.objects.get(&object).map_or(0, Vec::len);
        if known >= config.max_pointers_of_object {
            return Err(Full::Object);
        }
        if self.len() >= config.max_pointers {
            return Err(Full::Pointers);
        }
        Ok(())
    }

    fn objects_of(&self, holder: P) -> impl Iterator<Item = Guid> + '_ {
        let from = Bound::Included((holder, Guid::new(0)));
        let to = Bound::Included((holder, Guid::new(u128::MAX)));
        self.of_holder.range((from, to)).map(|(_, object)| *object)
    }

    /// Who holds an object as far as this node knows, nearest first; those whose distance
    /// was never measured come last (L9).
    pub(crate) fn nearest(&self, now: Time, object: Guid) -> Vec<&Holder<P>> {
        let pointers = self.objects.get(&object).into_iter().flatten();
        let mut holders: Vec<_> = pointers
            .filter(|pointer| pointer.expires > now)
            .filter_map(|pointer| self.holders.get(&pointer.holder))
            .collect();
        holders.sort_by_key(|holder| {
            let rtt = holder.rtt.smoothed();
            (rtt.is_none(), rtt, holder.contact.guid)
        });
        holders
    }

    /// The holders of an object whose distance would decide something and is not known.
    pub(crate) fn unmeasured(&self, object: Guid) -> Vec<Contact<P>> {
        let pointers = self.objects.get(&object).map_or(&[][..], Vec::as_slice);
        if pointers.len() < 2 {
            return Vec::new();
        }
        let holders = pointers
            .iter()
            .filter_map(|pointer| self.holders.get(&pointer.holder));
        holders
            .filter(|holder| holder.rtt.smoothed().is_none())
            .map(|holder| holder.contact.clone())
            .collect()
    }

    pub(crate) fn note_rtt(&mut self, holder: P, sample: Duration) {
        if let Some(known) = self.holders.get_mut(&holder) {
            known.rtt.measured(sample);
        }
    }

    /// Drops a pointer. Says whether there was one.
    pub(crate) fn remove(&mut self, holder: P, object: Guid) -> bool {
        if !self.of_holder.remove(&(holder, object)) {
            return false;
        }
        if let Some(pointers) = self.objects.get_mut(&object) {
            pointers.retain(|pointer| pointer.holder != holder);
            if pointers.is_empty() {
                self.objects.remove(&object);
            }
        }
        if let Some(known) = self.holders.get_mut(&holder) {
            known.count -= 1;
            if known.count == 0 {
                self.holders.remove(&holder);
            }
        }
        true
    }

    /// Drops all pointers to a node that is dead.
    pub(crate) fn remove_holder(&mut self, holder: P) {
        for object in self.objects_of(holder).collect::<Vec<_>>() {
            self.remove(holder, object);
        }
    }

    /// Drops what was not renewed in time.
    pub(crate) fn expire(&mut self, now: Time) {
        let pointers = self.objects.iter().flat_map(|(object, pointers)| {
            let late = pointers.iter().filter(|pointer| pointer.expires <= now);
            late.map(|pointer| (pointer.holder, *object))
        });
        for (holder, object) in pointers.collect::<Vec<_>>() {
            self.remove(holder, object);
        }
    }

    /// The pointers for the `count` objects from `from` on, and the object to go on with.
    pub(crate) fn page(
        &mut self,
        from: Guid,
        count: usize,
    ) -> (Vec<(Guid, &mut Pointer<P>)>, Option<Guid>) {
        let next = self.objects.range(from..).nth(count).map(|(guid, _)| *guid);
        let pointers = self
            .objects
            .range_mut(from..)
            .take(count)
            .flat_map(|(object, pointers)| pointers.iter_mut().map(|pointer| (*object, pointer)));
        (pointers.collect(), next)
    }

    pub(crate) fn holder(&self, peer: P) -> Option<&Contact<P>> {
        self.holders.get(&peer).map(|holder| &holder.contact)
    }

    /// Every pointer as (object, holder).
    pub(crate) fn all(&self) -> impl Iterator<Item = (Guid, P)> + '_ {
        self.all_until().map(|(object, holder, _)| (object, holder))
    }

    /// Every pointer as (object, holder, when it expires).
    pub(crate) fn all_until(&self) -> impl Iterator<Item = (Guid, P, Time)> + '_ {
        let objects = self.objects.iter();
        objects.flat_map(|(object, pointers)| {
            let all = pointers.iter();
            all.map(|pointer| (*object, pointer.holder, pointer.expires))
        })
    }

    pub(crate) fn check_invariants(&self, config: &LocationConfig) {
        let listed: BTreeSet<(P, Guid)> = self
            .objects
            .iter()
            .flat_map(|(object, pointers)| pointers.iter().map(|pointer| (pointer.holder, *object)))
            .collect();
        let count: usize = self.objects.values().map(Vec::len).sum();
        assert_eq!(listed.len(), count, "two pointers to one holder");
        assert_eq!(listed, self.of_holder, "the index of pointers is wrong");
        assert!(count <= config.max_pointers, "too many pointers are kept");
        for pointers in self.objects.values() {
            assert!(!pointers.is_empty(), "an object without a pointer is kept");
            assert!(
                pointers.len() <= config.max_pointers_of_object,
                "an object has too many pointers"
            );
            for pointer in pointers {
                assert!(
                    pointer.ways.len() <= usize::from(crate::location::message::MAX_ROOTS),
                    "a pointer lies on too many ways"
                );
            }
        }
        let named: BTreeSet<P> = self.of_holder.iter().map(|(holder, _)| *holder).collect();
        assert!(
            named.iter().eq(self.holders.keys()),
            "a holder is known for no pointer, or the other way round"
        );
        for holder in named {
            let count = self.objects_of(holder).count();
            assert_eq!(count, self.holders[&holder].count, "a holder is miscounted");
            assert!(
                count <= config.max_pointers_of_publisher,
                "a publisher has too many pointers"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Insert(u32, u128, u64),
        Remove(u32, u128),
        RemoveHolder(u32),
        Measure(u32, u64),
        Expire,
    }

    fn step() -> impl Strategy<Value = Step> {
        let (holder, object) = (0u32..6, 0u128..6);
        prop_oneof![
            6 => (holder.clone(), object.clone(), 1u64..100)
                .prop_map(|(holder, object, lifetime)| Step::Insert(holder, object, lifetime)),
            2 => (holder.clone(), object).prop_map(|(holder, object)| Step::Remove(holder, object)),
            1 => holder.clone().prop_map(Step::RemoveHolder),
            1 => (holder, 1u64..50).prop_map(|(holder, rtt)| Step::Measure(holder, rtt)),
            1 => Just(Step::Expire),
        ]
    }

    fn contact(peer: u32) -> Contact<u32> {
        Contact {
            guid: Guid::new(peer.into()),
            peer,
            addrs: crate::Addrs::default(),
        }
    }

    proptest! {
        #[test]
        fn it_keeps_what_has_room_until_it_expires(steps in prop::collection::vec(step(), 0..200)) {
            let config = LocationConfig {
                max_pointers: 12,
                max_pointers_of_publisher: 4,
                max_pointers_of_object: 3,
                ..LocationConfig::default()
            };
            let mut pointers = Pointers::new();
            let mut model: BTreeMap<(u128, u32), Time> = BTreeMap::new();
            let mut now = Time::ZERO;
            for step in steps {
                now = now + Duration::from_millis(5);
                match step {
                    Step::Insert(holder, object, lifetime) => {
                        let until = now + Duration::from_millis(lifetime);
                        let guid = Guid::new(object);
                        let kept = pointers.insert(&config, &contact(holder), guid, until, None);
                        let known = model.contains_key(&(object, holder));
                        let of_holder = model.keys().filter(|(_, of)| *of == holder).count();
                        let of_object = model.keys().filter(|(of, _)| *of == object).count();
                        let expected = if known {
                            Ok(())
                        } else if of_holder >= 4 {
                            Err(Full::Publisher)
                        } else if of_object >= 3 {
                            Err(Full::Object)
                        } else if model.len() >= 12 {
                            Err(Full::Pointers)
                        } else {
                            Ok(())
                        };
                        prop_assert_eq!(kept, expected);
                        if kept.is_ok() {
                            model.insert((object, holder), until);
                        }
                    }
                    Step::Remove(holder, object) => {
                        let was = model.remove(&(object, holder)).is_some();
                        prop_assert_eq!(pointers.remove(holder, Guid::new(object)), was);
                    }
                    Step::RemoveHolder(holder) => {
                        pointers.remove_holder(holder);
                        model.retain(|(_, of), _| *of != holder);
                    }
                    Step::Measure(holder, rtt) => {
                        pointers.note_rtt(holder, Duration::from_millis(rtt));
                    }
                    Step::Expire => {
                        pointers.expire(now);
                        model.retain(|_, until| *until > now);
                    }
                }
                pointers.check_invariants(&config);
                let all: Vec<(u128, u32)> = model.keys().copied().collect();
                let mut kept: Vec<(u128, u32)> = pointers
                    .all()
                    .map(|(object, holder)| (object.as_u128(), holder))
                    .collect();
                kept.sort_unstable();
                prop_assert_eq!(kept, all);
                for object in 0..6 {
                    let live = model.iter().filter(|((of, _), until)| *of == object && **until > now);
                    let nearest = pointers.nearest(now, Guid::new(object));
                    prop_assert_eq!(nearest.len(), live.count());
                    let rtts = nearest.iter().map(|holder| holder.rtt.smoothed());
                    let measured: Vec<_> = rtts.clone().flatten().collect();
                    prop_assert!(measured.is_sorted());
                    // Those never measured come last.
                    prop_assert!(rtts.skip(measured.len()).all(|rtt| rtt.is_none()));
                }
            }
        }
    }
}
