//! What faults of the network are to the switch (F5).

use lab::{Rule, Shape};

use super::draw::Fault;
use super::file::Kind;
use super::values::Direction;

/// How packets fare between the first `instances` nodes while the `active` faults last, where
/// they fare by the rules of `base`, which name senders and receivers, without. Of the rules
/// the last that fits a path counts.
pub fn rules(base: &[Rule], instances: usize, active: &[&Fault]) -> Vec<Rule> {
    let all: Vec<usize> = (0..instances).collect();
    let mut rules = base.to_vec();
    let mut losses: Vec<&Fault> = of(active, Kind::Loss).collect();
    losses.sort_by(|a, b| a.percent.total_cmp(&b.percent));
    for fault in losses {
        for rule in base {
            let shape = lossy(&rule.shape, fault.percent);
            let from = rule.from.as_deref().unwrap_or(&all);
            let to = rule.to.as_deref().unwrap_or(&all);
            let victims = |nodes: &[usize]| -> Vec<usize> {
                let hit = |node: &&usize| fault.victims.binary_search(node).is_ok();
                nodes.iter().filter(hit).copied().collect()
            };
            rules.push(Rule::one_way(&victims(from), to, shape.clone()));
            rules.push(Rule::one_way(from, &victims(to), shape));
        }
    }
    for fault in of(active, Kind::Partition) {
        let rest: Vec<usize> = all
            .iter()
            .copied()
            .filter(|one| fault.victims.binary_search(one).is_err())
            .collect();
        rules.extend(cut(&fault.victims, &rest, fault.direction));
    }
    for fault in of(active, Kind::Flap) {
        rules.extend(cut(&fault.victims, &all, fault.direction));
    }
    rules
}

/// What gets through is lost as it would be otherwise.
fn lossy(shape: &Shape, percent: f64) -> Shape {
    let through = (1.0 - shape.loss) * (1.0 - percent / 100.0);
    shape.clone().with_loss(1.0 - through)
}

fn of<'a>(active: &'a [&'a Fault], kind: Kind) -> impl Iterator<Item = &'a Fault> {
    active
        .iter()
        .copied()
        .filter(move |fault| fault.kind == kind)
}

fn cut(victims: &[usize], others: &[usize], direction: Direction) -> Vec<Rule> {
    let [out, back] = Rule::between(victims, others, &Shape::blocked());
    match direction {
        Direction::Both => vec![out, back],
        Direction::Out => vec![out],
        Direction::In => vec![back],
    }
}
