//! Nodes coming and going (MSPastry, section 5.3).

use rayon::prelude::*;

use super::{Made, Options, TableError};
use crate::network::Shape;
use crate::paper;
use crate::report::{Goal, Reading};
use crate::scenario::{Scenario, run};

/// One line of the table: a session's distribution, its mean, and the share of messages
/// that is lost.
struct Line {
    sessions: &'static str,
    minutes: u64,
    loss: f64,
}

/// Sessions of Gnutella's length, without and with losses: what the paper has.
pub(super) fn gnutella(options: &Options) -> Result<Made, TableError> {
    let line = |loss| Line {
        sessions: "gnutella",
        minutes: 138,
        loss,
    };
    let lines = [line(0.0), line(0.05)];
    make(options, "churn", "messages lost, percent", &lines)
}

/// Exponential sessions, from minutes to hours.
pub(super) fn sessions(options: &Options) -> Result<Made, TableError> {
    let means: &[u64] = match options.quick {
        true => &[30],
        false => &[5, 15, 30, 60, 120, 600],
    };
    let line = |minutes: &u64| Line {
        sessions: "exponential",
        minutes: *minutes,
        loss: 0.0,
    };
    let lines: Vec<Line> = means.iter().map(line).collect();
    make(options, "churn-sessions", "mean session, minutes", &lines)
}

fn make(
    options: &Options,
    name: &str,
    axis: &'static str,
    lines: &[Line],
) -> Result<Made, TableError> {
    let (nodes, lasts) = match options.quick {
        true => (80, 240),
        false => (1_000.min(options.most_nodes), 1_800),
    };
    let bar = options.bar(name, lines.len());
    let readings = options.each_seed(|seed| {
        let all: Result<Vec<Vec<Reading>>, TableError> = lines
            .par_iter()
            .map(|line| {
                let readings = measure(line, seed, nodes, lasts);
                bar.advance(1);
                readings
            })
            .collect();
        Ok(all?.into_iter().flatten().collect())
    })?;
    bar.finish();
    Ok(Made {
        title: format!("Churn, {nodes} nodes"),
        setup: format!(
            "Transit-stub network; |L| = 32, heartbeats every 30 s, 3 s for an answer at most \
             (MSPastry's base configuration); where a distance is known, silence counts after 250 \
             ms, doubled each time. Tables are probed so often that 7.5% of messages meet a dead \
             hop. Each node joins by the nearest; 0.01 lookups a second and node of random keys \
             over {} minutes. Delay stretch by sums; control is everything but lookups, joins and \
             acknowledgements included. A lookup whose asker dies within a minute is not lost.",
            lasts / 60
        ),
        axis,
        readings,
    })
}

fn measure(line: &Line, seed: u64, nodes: usize, lasts: u64) -> Result<Vec<Reading>, TableError> {
    let Line {
        sessions,
        minutes,
        loss,
    } = *line;
    let fault = match loss > 0.0 {
        true => {
            format!("[[fault]]\nkind = 'loss'\nat = '0s'\nuntil = '{lasts}s'\nshare = {loss}\n")
        }
        false => String::new(),
    };
    let text = format!(
        "title = 'churn'\nseed = {seed}\nnodes = {nodes}\nlasts = '{lasts}s'\nheals_within = '5m'\n\
         allow_wrong = true\n\
         [churn]\nsessions = '{sessions}'\nmean = '{minutes}m'\n\
         [overlay]\nleaf_set = 32\nheartbeat = '30s'\nprobe_timeout = '3s'\ntable_probe = '60m'\n\
         min_probe_timeout = '250ms'\nraw_loss_permille = 75\nheal_period = '60s'\n\
         {fault}"
    );
    let mut scenario = Scenario::parse("churn".as_ref(), &text)?;
    scenario.network = Shape::TransitStub(Default::default());
    let report = run(&scenario, None).map_err(|source| TableError::Run { seed, source })?;
    let name = match loss > 0.0 {
        true => format!("{sessions} {minutes} min, {:.0}% loss", loss * 100.0),
        false => format!("{sessions} {minutes} min"),
    };
    let x = match sessions {
        "gnutella" => loss * 100.0,
        _ => minutes as f64,
    };
    let reading = |what: &str, value: f64| {
        Reading::new(
            format!("{what}, {sessions}"),
            format!("{what}, {name}"),
            value,
        )
        .with_x(x)
    };
    let stretch = reading("delay stretch", report.stretch);
    let control = reading("control messages", report.control_all);
    let lost = reading("lookups lost", report.lost);
    let wrong = reading("wrong deliveries", report.wrong);
    let mut all = if sessions == "gnutella" {
        let at = usize::from(loss > 0.0);
        let wrong = wrong.with_paper(paper::CHURN_WRONG[at]);
        vec![
            stretch
                .with_paper(paper::CHURN_STRETCH)
                .with_goal(Goal::AtMost(1.8)),
            control
                .with_paper(paper::CHURN_CONTROL)
                .with_goal(Goal::AtMost(0.25)),
            lost.with_paper(paper::CHURN_LOSS[at])
                .with_goal(Goal::AtMost(1e-5)),
            match loss > 0.0 {
                true => wrong,
                false => wrong.with_goal(Goal::AtMost(0.0)),
            },
        ]
    } else {
        vec![stretch, control, lost, wrong.with_goal(Goal::AtMost(0.0))]
    };
    if sessions == "gnutella" && loss == 0.0 {
        for (kind, rate) in &report.control {
            all.push(Reading::new(
                *kind,
                format!("of these {kind}, {name}"),
                *rate,
            ));
        }
    }
    Ok(all)
}
