//! Sets of identifiers, as arcs of the ring.

use guid::{Guid, Span};

/// Stretches of the ring from zero up, both ends included, in order and apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Arcs(Vec<(u128, u128)>);

impl Arcs {
    /// All that lies on one of the arcs.
    pub(crate) fn of<'a>(spans: impl IntoIterator<Item = &'a Span>) -> Arcs {
        let mut parts = Vec::new();
        for span in spans {
            let (from, to) = (span.from.as_u128(), span.to.as_u128());
            match from <= to {
                true => parts.push((from, to)),
                // It passes through zero.
                false => parts.extend([(from, u128::MAX), (0, to)]),
            }
        }
        Arcs::joined(parts)
    }

    pub(crate) fn contains(&self, guid: Guid) -> bool {
        let at = guid.as_u128();
        self.0.iter().any(|(from, to)| (*from..=*to).contains(&at))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is in one of both.
    pub(crate) fn or(&self, other: &Arcs) -> Arcs {
        Arcs::joined([&self.0[..], &other.0[..]].concat())
    }

    /// What is in both.
    pub(crate) fn and(&self, other: &Arcs) -> Arcs {
        let pairs = self
            .0
            .iter()
            .flat_map(|one| other.0.iter().map(move |two| (one, two)));
        let common = pairs.map(|(one, two)| (one.0.max(two.0), one.1.min(two.1)));
        Arcs::joined(common.filter(|(from, to)| from <= to).collect())
    }

    /// What is not in the other.
    pub(crate) fn without(&self, other: &Arcs) -> Arcs {
        let mut gaps = Vec::with_capacity(other.0.len() + 1);
        let mut from = Some(0);
        for (begin, end) in &other.0 {
            if let (Some(from), Some(to)) = (from, begin.checked_sub(1))
                && from <= to
            {
                gaps.push((from, to));
            }
            from = end.checked_add(1);
        }
        gaps.extend(from.map(|from| (from, u128::MAX)));
        self.and(&Arcs(gaps))
    }

    fn joined(mut parts: Vec<(u128, u128)>) -> Arcs {
        parts.sort_unstable();
        let mut joined: Vec<(u128, u128)> = Vec::with_capacity(parts.len());
        for (from, to) in parts {
            match joined.last_mut() {
                Some(last) if from <= last.1.saturating_add(1) => last.1 = last.1.max(to),
                _ => joined.push((from, to)),
            }
        }
        Arcs(joined)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Arcs whose ends lie among a few places on both sides of zero.
    fn spans() -> impl Strategy<Value = Vec<Span>> {
        let place = || (0u128..12).prop_map(|at| Guid::new(at.wrapping_sub(6)));
        let span = (place(), place()).prop_map(|(from, to)| Span::new(from, to));
        proptest::collection::vec(span, 0..5)
    }

    proptest! {
        #[test]
        fn arcs_are_sets(one in spans(), two in spans()) {
            let on = |spans: &[Span], at: Guid| spans.iter().any(|span| span.contains(at));
            let (a, b) = (Arcs::of(&one), Arcs::of(&two));
            for at in 0u128..16 {
                let at = Guid::new(at.wrapping_sub(8));
                let (in_a, in_b) = (on(&one, at), on(&two, at));
                prop_assert_eq!(a.contains(at), in_a);
                prop_assert_eq!(a.or(&b).contains(at), in_a || in_b);
                prop_assert_eq!(a.and(&b).contains(at), in_a && in_b);
                prop_assert_eq!(a.without(&b).contains(at), in_a && !in_b);
            }
        }

        #[test]
        fn one_set_has_one_form(one in spans(), two in spans()) {
            let (a, b) = (Arcs::of(&one), Arcs::of(&two));
            prop_assert_eq!(a.or(&b), b.or(&a));
            prop_assert_eq!(a.without(&b).or(&a.and(&b)), a);
        }
    }
}
