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

/// A network with the nodes that stand in it, numbered as they were attached.
#[derive(Clone, Debug)]
pub enum Network {
    /// Points on a square.
    Plane(Plane),
    /// Points on a sphere.
    Sphere(Sphere),
    /// Routers in domains.
    TransitStub(TransitStub),
    /// Measured sites.
    Matrix(Matrix),
}

impl Network {
    /// The network of a shape; its own shape and the places in it follow from the seed.
    ///
    /// # Errors
    /// When the shape is impossible or its file is unusable.
    pub fn new(shape: &Shape, seed: u64) -> Result<Network, NetworkError> {
        let mut topology = Dice::new(seed, Purpose::Topology);
        Ok(match shape {
            Shape::Plane { micros_per_unit } => Network::Plane(Plane::new(*micros_per_unit)?),
            Shape::Sphere { antipode_micros } => Network::Sphere(Sphere::new(*antipode_micros)?),
            Shape::TransitStub(shape) => {
                Network::TransitStub(TransitStub::new(shape, &mut topology)?)
            }
            Shape::Matrix { file } => Network::Matrix(Matrix::read(file)?),
        })
    }

    /// Gives the next node its place.
    pub(crate) fn attach(&mut self, dice: &mut Dice) {
        match self {
            Network::Plane(plane) => plane.attach(dice),
            Network::Sphere(sphere) => sphere.attach(dice),
            Network::TransitStub(graph) => graph.attach(dice),
            Network::Matrix(matrix) => matrix.attach(dice),
        }
    }

    /// Microseconds from one node to another, one way, without jitter.
    pub fn latency(&self, from: Node, to: Node) -> u64 {
        if from == to {
            return 0;
        }
        match self {
            Network::Plane(plane) => plane.latency(from, to),
            Network::Sphere(sphere) => sphere.latency(from, to),
            Network::TransitStub(graph) => graph.latency(from, to),
            Network::Matrix(matrix) => matrix.latency(from, to),
        }
    }

    /// The node to be found near: it may be asked for by [`Network::nearest`].
    pub(crate) fn enter(&mut self, node: Node) {
        if let Network::Plane(plane) = self {
            plane.enter(node);
        }
    }

    /// The node is gone.
    pub(crate) fn exit(&mut self, node: Node) {
        if let Network::Plane(plane) = self {
            plane.exit(node);
        }
    }

    /// Of `live`, whoever is nearest to `node`. Where there is an index it is used, and
    /// it knows the same nodes.
    pub(crate) fn nearest(&self, node: Node, live: impl Iterator<Item = Node>) -> Option<Node> {
        match self {
            Network::Plane(plane) => plane.nearest(node),
            _ => live
                .filter(|other| *other != node)
                .min_by_key(|other| (self.latency(node, *other), *other)),
        }
    }
}
