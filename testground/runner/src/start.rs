//! `testground run`.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use lab::{Lab, Shape, Uplink};
use testground::composition::{Composition, Members};
use testground::faults::{Fault, Schedule};
use testground::layout::Layout;
use testground::params::Params;
use testground::plans::{self, Plan};
use testground::report;
use testground::run::{self, Ending, Interrupt, Job, Network, Programs, Verdict};

use crate::args::{self, Run};

/// At least one instance did not succeed, or the oracle found something.
const EXIT_FAILED: u8 = 1;

/// As a shell has it for a program that SIGINT ended.
const EXIT_INTERRUPTED: u8 = 130;

/// Id of the one group of a run without a composition, as Testground has it.
const GROUP: &str = "single";

/// Where results go unless told otherwise.
const RUNS: &str = "testground-runs";

/// The longest that a case may take: longer, and nobody waits for it.
const MAX_LIMIT: Duration = Duration::from_secs(24 * 3600);

/// A case, before the folder of its results is known.
struct Wanted {
    plan: Plan,
    case: String,
    groups: Vec<Members>,
    faults: Vec<Fault>,
    disk: Option<u64>,
    layout: Layout,
    command: String,
}

pub(crate) fn run(args: &Run) -> anyhow::Result<ExitCode> {
    if args.timeout.is_zero() || args.timeout > MAX_LIMIT {
        bail!("--timeout is from above 0 to 24h");
    }
    let seed = args.seed.unwrap_or_else(any_seed);
    let network = network(&args.network)?;
    let wanted = wanted(args, seed)?;
    let hedgerow = match &args.hedgerow {
        Some(path) => path
            .canonicalize()
            .with_context(|| format!("no program at {}", path.display()))?,
        None => plans::beside("hedgerow", "build it first, or name it with --hedgerow")?,
    };
    let testground = std::env::current_exe().context("cannot tell where this program is")?;
    let programs: Vec<PathBuf> = wanted
        .iter()
        .map(|wanted| wanted.plan.program())
        .collect::<Result<_, _>>()?;
    if let Some(reason) = Lab::unavailable() {
        bail!("no lab on this machine: {reason}");
    }
    let out = out_folder(args.out.as_deref(), &wanted)?;
    let interrupt = Interrupt::by_signals().context("cannot listen for signals")?;
    let mut verdicts = Vec::new();
    for (wanted, program) in wanted.into_iter().zip(programs) {
        if interrupt.is_set() {
            break;
        }
        let job = Job {
            out: out.join(wanted.plan.manifest.name()).join(&wanted.case),
            plan: wanted.plan.manifest.name().to_owned(),
            case: wanted.case,
            groups: wanted.groups,
            seed,
            network: network.clone(),
            faults: wanted.faults,
            switch: args.network.switch,
            disk: wanted.disk,
            layout: wanted.layout,
            limit: args.timeout,
            command: wanted.command,
            programs: Programs {
                plan: program,
                hedgerow: hedgerow.clone(),
                testground: testground.clone(),
            },
        };
        let verdict = run::run(&job, &interrupt)
            .with_context(|| format!("{} {} could not be run", job.plan, job.case))?;
        report::write(&verdict)?;
        print(&verdict);
        verdicts.push(verdict);
        // After each, so that it is there whatever becomes of the next.
        report::write_summary(&out, &verdicts)?;
    }
    if interrupt.is_set() {
        return Ok(ExitCode::from(EXIT_INTERRUPTED));
    }
    let passed = verdicts.iter().all(|verdict| verdict.passed);
    Ok(if passed {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(EXIT_FAILED)
    })
}

fn wanted(args: &Run, seed: u64) -> anyhow::Result<Vec<Wanted>> {
    let set = parse_set(&args.set)?;
    if let Some(path) = &args.composition {
        let (composition, groups) = Composition::load(path)?;
        let own = composition.faults();
        let plan = plans::find(&args.plans.folder, &composition.global.plan)?;
        let tail = format!("--composition {}", word(&path.to_string_lossy()));
        return Ok(vec![one(
            args,
            seed,
            plan,
            &composition.global.case,
            groups,
            own,
            &tail,
        )?]);
    }
    let name = args.plan.as_deref().unwrap_or_default();
    let plans = if name == "all" {
        if args.nodes.is_some() || !set.is_empty() || args.case.is_some() {
            bail!("`run all` runs each case as its manifest has it: no CASE, --nodes or --set");
        }
        plans::all(&args.plans.folder)?
    } else {
        vec![plans::find(&args.plans.folder, name)?]
    };
    let mut wanted = Vec::new();
    for plan in plans {
        let cases: Vec<String> = match &args.case {
            Some(case) => vec![case.clone()],
            None => {
                let cases = plan.manifest.testcases.iter();
                cases.map(|case| case.name().to_owned()).collect()
            }
        };
        for case in cases {
            let instances = plan
                .manifest
                .case(&case)
                .map_err(anyhow::Error::msg)?
                .instances();
            let count = args.nodes.unwrap_or(instances.default);
            let groups = vec![Members {
                id: GROUP.to_owned(),
                count,
                params: set.clone(),
            }];
            let mut tail = format!("{} {case} --nodes {count}", plan.manifest.name());
            for (name, value) in &set {
                tail.push_str(&format!(" --set {}", word(&format!("{name}={value}"))));
            }
            wanted.push(one(args, seed, plan.clone(), &case, groups, None, &tail)?);
        }
    }
    if wanted.is_empty() {
        bail!("no plans in {}", args.plans.folder.display());
    }
    Ok(wanted)
}

/// Checks what was asked for against the manifest, before anything starts.
fn one(
    args: &Run,
    seed: u64,
    plan: Plan,
    case: &str,
    mut groups: Vec<Members>,
    faults: Option<&Schedule>,
    tail: &str,
) -> anyhow::Result<Wanted> {
    let known = plan.manifest.case(case).map_err(anyhow::Error::msg)?;
    let total = groups.iter().map(|group| group.count).sum();
    known.check_count(total).map_err(anyhow::Error::msg)?;
    if total > run::MAX_INSTANCES {
        bail!(run::RunError::TooMany(total));
    }
    for group in &mut groups {
        group.params = known
            .params_with(&group.params)
            .map_err(anyhow::Error::msg)?;
    }
    let layout = known.layout();
    let given = args.faults.as_deref().map(Schedule::load).transpose()?;
    let schedule = given.as_ref().or(faults).or(known.faults());
    let drawn = schedule.map(|schedule| schedule.draw(seed, &groups));
    let faults = drawn.transpose()?.unwrap_or_default();
    let is_bad = !network(&args.network)?.is_perfect() || args.network.switch;
    if layout.lans > 1 && (is_bad || faults.iter().any(|fault| fault.kind.is_of_network())) {
        bail!(
            "`{case}` has {} LANs: what goes between them goes through their router, so the network \
             between instances cannot be made worse",
            layout.lans
        );
    }
    let mut command = format!("testground run {tail} --seed {seed}");
    if let Some(path) = &args.faults {
        command.push_str(&format!(" --faults {}", word(&path.to_string_lossy())));
    }
    command.push_str(&network_flags(&args.network));
    let limit = humantime::format_duration(args.timeout)
        .to_string()
        .replace(' ', "");
    command.push_str(&format!(" --timeout {limit}"));
    if args.plans.folder != Path::new("testground/plans") {
        command.push_str(&format!(
            " --plans {}",
            word(&args.plans.folder.to_string_lossy())
        ));
    }
    Ok(Wanted {
        case: case.to_owned(),
        faults,
        disk: schedule.and_then(|schedule| schedule.disk),
        layout,
        plan,
        groups,
        command,
    })
}

/// The network that was asked for, if there can be such a one.
fn network(args: &args::Network) -> anyhow::Result<Network> {
    let megabits = |rate: u64| rate.saturating_mul(1_000_000);
    let network = Network {
        shape: Shape {
            latency: args.latency,
            jitter: args.jitter,
            loss: args.loss / 100.0,
            duplicate: args.duplicate / 100.0,
            reorder: args.reorder / 100.0,
            ..Shape::default()
        },
        uplink: args
            .rate
            .map_or_else(Uplink::default, |rate| Uplink::symmetric(megabits(rate))),
    };
    network.shape.validate()?;
    network.uplink.validate()?;
    Ok(network)
}

/// The flags that make the same network again.
fn network_flags(args: &args::Network) -> String {
    let mut flags = String::new();
    for (name, time) in [("latency", args.latency), ("jitter", args.jitter)] {
        if !time.is_zero() {
            let time = humantime::format_duration(time)
                .to_string()
                .replace(' ', "");
            flags.push_str(&format!(" --{name} {time}"));
        }
    }
    for (name, percent) in [
        ("loss", args.loss),
        ("duplicate", args.duplicate),
        ("reorder", args.reorder),
    ] {
        if percent != 0.0 {
            flags.push_str(&format!(" --{name} {percent}"));
        }
    }
    if let Some(rate) = args.rate {
        flags.push_str(&format!(" --rate {rate}"));
    }
    if args.switch {
        flags.push_str(" --switch");
    }
    flags
}

fn parse_set(set: &[String]) -> anyhow::Result<Params> {
    let mut params = Params::new();
    for text in set {
        let (name, value) = text
            .split_once('=')
            .with_context(|| format!("--set {text}: it is NAME=VALUE"))?;
        if params.insert(name.to_owned(), value.to_owned()).is_some() {
            bail!("--set {name} is there twice");
        }
    }
    Ok(params)
}

/// The folder of the results, which exists; none of the cases' folders in it do.
fn out_folder(out: Option<&Path>, wanted: &[Wanted]) -> anyhow::Result<PathBuf> {
    let folder = match out {
        Some(folder) => folder.to_owned(),
        None => Path::new(RUNS).join(run::new_run_id()),
    };
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make {}", folder.display()))?;
    let folder = folder
        .canonicalize()
        .with_context(|| format!("no folder {}", folder.display()))?;
    for wanted in wanted {
        let own = folder.join(wanted.plan.manifest.name()).join(&wanted.case);
        if own.exists() {
            bail!("{} has results already: name another folder", own.display());
        }
    }
    Ok(folder)
}

fn print(verdict: &Verdict) {
    let word = match (verdict.passed, verdict.ending) {
        (true, _) => "passed",
        (false, Ending::Interrupted) => "interrupted",
        (false, _) => "FAILED",
    };
    println!(
        "{word}  {} {}  {} instances, {:.1} s, seed {}",
        verdict.plan,
        verdict.case,
        verdict.instances.len(),
        verdict.seconds,
        verdict.seed
    );
    if let Some(findings) = &verdict.oracle {
        println!(
            "        {} puts acknowledged, {} gets read, {} instances read everything at the end",
            findings.acknowledged, findings.read, findings.readers
        );
    }
    faults(verdict);
    /// The rest is in the report.
    const SHOWN: usize = 12;
    for reason in verdict.reasons.iter().take(SHOWN) {
        println!("        {reason}");
    }
    if verdict.reasons.len() > SHOWN {
        println!("        and {} more", verdict.reasons.len() - SHOWN);
    }
    if verdict.switch.is_some_and(|stats| stats.saturated()) {
        println!(
            "        the switch could not keep up: times and rates are its own, not the program's"
        );
    }
    println!("        again:  {}", verdict.command);
    println!(
        "        report: {}",
        verdict.out.join("report.html").display()
    );
}

/// How many faults of each kind there were, and what became of them.
fn faults(verdict: &Verdict) {
    if verdict.faults.is_empty() {
        return;
    }
    let mut kinds: Vec<(&str, usize)> = Vec::new();
    for fault in &verdict.faults {
        let name = fault.fault.kind.name();
        match kinds.iter_mut().find(|(kind, _)| *kind == name) {
            Some((_, count)) => *count += 1,
            None => kinds.push((name, 1)),
        }
    }
    let kinds: Vec<String> = kinds
        .iter()
        .map(|(kind, count)| format!("{count} {kind}"))
        .collect();
    let ended = verdict.faults.iter().filter(|fault| fault.ended.is_some());
    let ended = match ended.count() {
        count if count == verdict.faults.len() => "all have ended".to_owned(),
        count => format!("{count} have ended"),
    };
    println!("        faults: {}; {ended}", kinds.join(", "));
}

/// A word for a shell.
fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./:,+@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// A seed that is short enough to be typed.
fn any_seed() -> u64 {
    RandomState::new().build_hasher().finish() % 1_000_000
}
