//! Which shape a pair of ports has (N3).

use serde::{Deserialize, Serialize};

use super::orders::Port;
use super::shape::Shape;

/// A shape for some paths. Of all rules that fit a path the last one counts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rule {
    /// The LAN; every LAN unless set.
    pub lan: Option<usize>,
    /// Nodes that send; all unless set.
    pub from: Option<Vec<usize>>,
    /// Nodes that receive; all unless set.
    pub to: Option<Vec<usize>>,
    /// What happens on the way.
    pub shape: Shape,
}

impl Rule {
    /// For every path.
    pub fn all(shape: Shape) -> Rule {
        Rule {
            shape,
            ..Rule::default()
        }
    }

    /// For the paths from some nodes to others, one way.
    pub fn one_way(from: &[usize], to: &[usize], shape: Shape) -> Rule {
        Rule {
            lan: None,
            from: Some(from.to_vec()),
            to: Some(to.to_vec()),
            shape,
        }
    }

    /// For the paths between some nodes and others, both ways.
    pub fn between(some: &[usize], others: &[usize], shape: &Shape) -> [Rule; 2] {
        [
            Rule::one_way(some, others, shape.clone()),
            Rule::one_way(others, some, shape.clone()),
        ]
    }

    /// The nodes that it names.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = usize> + '_ {
        self.from.iter().chain(&self.to).flatten().copied()
    }

    fn fits(&self, from: Port, to: Port) -> bool {
        let names = |nodes: &Option<Vec<usize>>, node: usize| {
            nodes.as_ref().is_none_or(|nodes| nodes.contains(&node))
        };
        self.lan.is_none_or(|lan| lan == from.lan)
            && names(&self.from, from.node)
            && names(&self.to, to.node)
    }
}

/// The shape of a path, if any rule fits it.
pub(super) fn shape_of(rules: &[Rule], from: Port, to: Port) -> Option<&Shape> {
    let rule = rules.iter().rev().find(|rule| rule.fits(from, to));
    rule.map(|rule| &rule.shape)
        .filter(|shape| **shape != Shape::default())
}
