//! `testground list`.

use std::process::ExitCode;

use testground::plans;

use crate::args::Plans;

pub(crate) fn list(plans: &Plans) -> anyhow::Result<ExitCode> {
    for plan in plans::all(&plans.folder)? {
        for case in &plan.manifest.testcases {
            let instances = case.instances();
            println!(
                "{} {}  {} instances ({} to {})",
                plan.manifest.name(),
                case.name(),
                instances.default,
                instances.min,
                instances.max
            );
            for (name, param) in case.params() {
                let default = param
                    .default_text()
                    .unwrap_or_else(|| "(to be set)".to_owned());
                let unit = match param.unit.as_str() {
                    "" => String::new(),
                    unit => format!(" ({unit})"),
                };
                println!("    {name}={default}  {}{unit}", param.desc);
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}
