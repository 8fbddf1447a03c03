//! The plane of the Pastry paper: random points on a square, Euclidean distance.

use super::NetworkError;
use super::grid::Grid;
use crate::Node;
use crate::dice::Dice;

/// Length of the square's side, in the paper's units.
const SIDE: f64 = 1000.0;

/// Points on a square.
#[derive(Clone, Debug)]
pub struct Plane {
    micros_per_unit: f64,
    places: Vec<(f64, f64)>,
    grid: Grid,
}

impl Plane {
    pub(super) fn new(micros_per_unit: f64) -> Result<Plane, NetworkError> {
        if micros_per_unit.is_nan() || micros_per_unit <= 0.0 {
            return Err(NetworkError::NotPositive("micros_per_unit"));
        }
        Ok(Plane {
            micros_per_unit,
            places: Vec::new(),
            grid: Grid::new(SIDE),
        })
    }

    pub(super) fn attach(&mut self, dice: &mut Dice) {
        self.places.push((dice.unit() * SIDE, dice.unit() * SIDE));
    }

    pub(super) fn latency(&self, from: Node, to: Node) -> u64 {
        let (a, b) = (self.places[from as usize], self.places[to as usize]);
        let (dx, dy) = (a.0 - b.0, a.1 - b.1);
        ((dx * dx + dy * dy).sqrt() * self.micros_per_unit) as u64
    }

    /// A node on a host may be asked for as the nearest.
    pub(super) fn enter(&mut self, node: Node, host: Node) {
        self.grid.insert(node, self.places[host as usize]);
    }

    pub(super) fn exit(&mut self, node: Node, host: Node) {
        self.grid.remove(node, self.places[host as usize]);
    }

    pub(super) fn nearest(&self, node: Node, host: Node) -> Option<Node> {
        self.grid.nearest(self.places[host as usize], node)
    }
}
