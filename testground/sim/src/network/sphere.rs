//! A sphere: no node is at the edge of anything.

use super::NetworkError;
use crate::Node;
use crate::dice::Dice;

/// Points on a sphere, by great circles.
#[derive(Clone, Debug)]
pub struct Sphere {
    antipode_micros: f64,
    /// Unit vectors.
    places: Vec<[f64; 3]>,
}

impl Sphere {
    pub(super) fn new(antipode_micros: f64) -> Result<Sphere, NetworkError> {
        if antipode_micros.is_nan() || antipode_micros <= 0.0 {
            return Err(NetworkError::NotPositive("antipode_micros"));
        }
        Ok(Sphere {
            antipode_micros,
            places: Vec::new(),
        })
    }

    pub(super) fn attach(&mut self, dice: &mut Dice) {
        // Equal slices of height have equal area (Archimedes).
        let height = 2.0 * dice.unit() - 1.0;
        let around = dice.unit() * std::f64::consts::TAU;
        let radius = (1.0 - height * height).sqrt();
        self.places
            .push([radius * around.cos(), radius * around.sin(), height]);
    }

    pub(super) fn latency(&self, from: Node, to: Node) -> u64 {
        let (a, b) = (&self.places[from as usize], &self.places[to as usize]);
        let cosine: f64 = a.iter().zip(b).map(|(a, b)| a * b).sum();
        let angle = cosine.clamp(-1.0, 1.0).acos();
        (angle / std::f64::consts::PI * self.antipode_micros) as u64
    }
}
