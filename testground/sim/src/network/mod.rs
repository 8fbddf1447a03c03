//! Where nodes stand, and how long a message takes from one to another (S6).

mod grid;
mod links;
mod matrix;
mod plane;
mod sphere;
mod transit_stub;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use links::{Cut, Links, Rule};
pub use matrix::Matrix;
pub use plane::Plane;
pub use sphere::Sphere;
pub use transit_stub::{TransitStub, TransitStubShape};

use crate::Node;
use crate::dice::{Dice, Purpose};

/// Which network, as a scenario names it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Shape {
    /// Random points on a square of 1000 by 1000, as in the Pastry paper.
    Plane {
        /// One way over one unit of distance, in microseconds.
        #[serde(default = "default_unit")]
        micros_per_unit: f64,
    },
    /// Random points on a sphere; messages go along great circles.
    Sphere {
        /// One way to the far end, in microseconds.
        #[serde(default = "default_antipode")]
        antipode_micros: f64,
    },
    /// A transit-stub graph of routers with nodes at stub routers.
    TransitStub(#[serde(default)] TransitStubShape),
    /// One-way latencies in microseconds between given sites, one row a line.
    Matrix {
        /// The file.
        file: PathBuf,
    },
}

/// 100 microseconds a unit: 52 ms from one random point to another, as on the Internet.
fn default_unit() -> f64 {
    100.0
}

/// Half round the Earth in fibre, with what routers and detours add.
fn default_antipode() -> f64 {
    150_000.0
}

impl Default for Shape {
    fn default() -> Self {
        Shape::Plane {
            micros_per_unit: default_unit(),
        }
    }
}

/// Why a network cannot be made.
#[derive(Debug, Error)]
pub enum NetworkError {
    /// A number that has to be more than zero is not.
    #[error("{0} has to be more than zero")]
    NotPositive(&'static str),
    /// The matrix cannot be read.
    #[error("cannot read {file}")]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The matrix is none.
    #[error("{file}, line {line}: {reason}")]
    Malformed {
        /// The file.
        file: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong there.
        reason: String,
    },
}

/// A network with the nodes that stand in it, numbered as they were attached: as many of
/// them as a host carries stand at its place, one after the other.
#[derive(Clone, Debug)]
pub struct Network {
    places: Places,
    per_host: u32,
    nodes: u32,
}

/// Where hosts stand.
#[derive(Clone, Debug)]
enum Places {
    Plane(Plane),
    Sphere(Sphere),
    TransitStub(TransitStub),
    Matrix(Matrix),
}

impl Network {
    /// The network of a shape, with so many nodes on each host; its own shape and the places
    /// in it follow from the seed.
    ///
    /// # Errors
    /// When the shape is impossible or its file is unusable, or hosts carry nobody.
    pub fn new(shape: &Shape, per_host: u32, seed: u64) -> Result<Network, NetworkError> {
        if per_host == 0 {
            return Err(NetworkError::NotPositive("per_host"));
        }
        let mut topology = Dice::new(seed, Purpose::Topology);
        let places = match shape {
            Shape::Plane { micros_per_unit } => Places::Plane(Plane::new(*micros_per_unit)?),
            Shape::Sphere { antipode_micros } => Places::Sphere(Sphere::new(*antipode_micros)?),
            Shape::TransitStub(shape) => {
                Places::TransitStub(TransitStub::new(shape, &mut topology)?)
            }
            Shape::Matrix { file } => Places::Matrix(Matrix::read(file)?),
        };
        Ok(Network {
            places,
            per_host,
            nodes: 0,
        })
    }

    /// The host that carries a node, counted from 0.
    pub fn host(&self, node: Node) -> Node {
        node / self.per_host
    }

    /// Gives the next node its place.
    pub(crate) fn attach(&mut self, dice: &mut Dice) {
        if self.nodes.is_multiple_of(self.per_host) {
            match &mut self.places {
                Places::Plane(plane) => plane.attach(dice),
                Places::Sphere(sphere) => sphere.attach(dice),
                Places::TransitStub(graph) => graph.attach(dice),
                Places::Matrix(matrix) => matrix.attach(dice),
            }
        }
        self.nodes += 1;
    }

    /// Microseconds from one node to another, one way, without jitter; none on one host.
    pub fn latency(&self, from: Node, to: Node) -> u64 {
        let (from, to) = (self.host(from), self.host(to));
        if from == to {
            return 0;
        }
        match &self.places {
            Places::Plane(plane) => plane.latency(from, to),
            Places::Sphere(sphere) => sphere.latency(from, to),
            Places::TransitStub(graph) => graph.latency(from, to),
            Places::Matrix(matrix) => matrix.latency(from, to),
        }
    }

    /// The node to be found near: it may be asked for by [`Network::nearest`].
    pub(crate) fn enter(&mut self, node: Node) {
        let host = self.host(node);
        if let Places::Plane(plane) = &mut self.places {
            plane.enter(node, host);
        }
    }

    /// The node is gone.
    pub(crate) fn exit(&mut self, node: Node) {
        let host = self.host(node);
        if let Places::Plane(plane) = &mut self.places {
            plane.exit(node, host);
        }
    }

    /// Of `live`, whoever is nearest to `node`. Where there is an index it is used, and
    /// it knows the same nodes.
    pub(crate) fn nearest(&self, node: Node, live: impl Iterator<Item = Node>) -> Option<Node> {
        match &self.places {
            Places::Plane(plane) => plane.nearest(node, self.host(node)),
            _ => live
                .filter(|other| *other != node)
                .min_by_key(|other| (self.latency(node, *other), *other)),
        }
    }
}
