//! The switch of a lab, started by it: `lab-switch SEED`, orders on standard input.

use std::process::ExitCode;

fn main() -> ExitCode {
    let seed = std::env::args().nth(1).and_then(|seed| seed.parse().ok());
    let Some(seed) = seed else {
        eprintln!("lab-switch is started by the lab: lab-switch SEED");
        return ExitCode::from(2);
    };
    match lab::switch(seed) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the switch: {error}");
            ExitCode::FAILURE
        }
    }
}
