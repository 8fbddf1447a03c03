//! The lab, tested with a program that knows nothing of Hedgerow.

#![allow(clippy::unwrap_used, reason = "the helpers of tests panic like tests")]

mod cleanup;
mod life;
mod links;
mod program;
mod routers;
mod shapes;

use std::time::Duration;

use lab::{Builder, Lab};

/// Generous: the tests share a small machine with others.
const PATIENCE: Duration = Duration::from_secs(20);

const PROBE: &str = env!("CARGO_BIN_EXE_lab-probe");

/// A lab of nodes that echo.
fn echoes(nodes: usize) -> Builder {
    Lab::builder().nodes(nodes).binary(PROBE).arg("serve")
}

/// Joined by the kernel's bridges, and by the switch.
fn both(builder: Builder) -> [Lab; 2] {
    [started(builder.clone()), started(builder.switched(1))]
}

fn started(builder: Builder) -> Lab {
    let lab = builder.build().unwrap();
    lab.start_all().unwrap();
    for node in 0..lab.len() {
        lab.wait_ready(node, PATIENCE).unwrap();
    }
    lab
}

/// Whether `node` gets an answer from `address` over `protocol`.
fn reaches(lab: &Lab, node: usize, protocol: &str, address: impl ToString) -> bool {
    lab.output(node, PROBE, [protocol, &address.to_string()])
        .unwrap()
        .status
        .success()
}
