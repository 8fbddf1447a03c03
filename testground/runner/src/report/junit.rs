//! JUnit's XML, which CI systems read: a suite a plan, a test a case.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::escape;
use crate::run::Verdict;

pub(super) fn xml(verdicts: &[Verdict]) -> String {
    let mut plans: BTreeMap<&str, Vec<&Verdict>> = BTreeMap::new();
    for verdict in verdicts {
        plans.entry(&verdict.plan).or_default().push(verdict);
    }
    let mut out = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n".to_owned();
    for (plan, verdicts) in plans {
        let failures = verdicts.iter().filter(|verdict| !verdict.passed).count();
        let seconds: f64 = verdicts.iter().map(|verdict| verdict.seconds).sum();
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{failures}\" errors=\"0\" skipped=\"0\" time=\"{seconds:.3}\">",
            escape(plan),
            verdicts.len(),
        );
        for verdict in verdicts {
            test(&mut out, verdict);
        }
        out.push_str("  </testsuite>\n");
    }
    out.push_str("</testsuites>\n");
    out
}

fn test(out: &mut String, verdict: &Verdict) {
    let _ = writeln!(
        out,
        "    <testcase classname=\"{}\" name=\"{}\" time=\"{:.3}\">",
        escape(&verdict.plan),
        escape(&verdict.case),
        verdict.seconds,
    );
    if let Some(first) = verdict.reasons.first() {
        let _ = writeln!(
            out,
            "      <failure message=\"{}\">{}</failure>",
            escape(first),
            escape(&verdict.reasons.join("\n")),
        );
    }
    let _ = writeln!(
        out,
        "      <system-out>{}</system-out>\n    </testcase>",
        escape(&format!("seed {}\n{}", verdict.seed, verdict.command)),
    );
}
