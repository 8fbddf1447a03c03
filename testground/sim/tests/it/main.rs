//! The simulator's promises, and small versions of every table and scenario.

mod adversary;
mod determinism;
mod mistakes;
mod objects;
mod scenarios;
mod tables;
