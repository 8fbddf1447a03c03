//! `hedgerow object watch`: new versions as they come.

use std::time::Duration;

use node::api::types::ObjectEvent;
use objects::Reference;

use super::{object::malformed, segment};
use crate::{
    client::{Client, Events},
    exit::{Code, Failure},
    output::{Output, size},
};

/// How often a node that has gone is looked for. Its socket tells nobody when it is back.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// Prints what is new until the person has enough. A node that stops is waited for, and then
/// asked for what is newer than what was printed.
pub(super) async fn watch(
    names: &[String],
    client: &Client,
    output: &Output,
) -> Result<(), Failure> {
    for name in names {
        Reference::parse(name).map_err(|error| malformed(&error))?;
    }
    let names: Vec<String> = names
        .iter()
        .map(|name| format!("name={}", segment(name)))
        .collect();
    let path = format!("/api/v1/watch?{}", names.join("&"));
    let watching = async {
        let mut events = client.events(&path, None).await?;
        output.say("watching; end with Ctrl-C");
        let mut last = None;
        loop {
            match follow(&mut events, &mut last, output).await {
                Ok(()) => output.say("the node has stopped; waiting until it is back"),
                Err(failure) if is_passing(&failure) => {
                    output.say(format_args!("{}; waiting", failure.message));
                }
                Err(failure) => return Err(failure),
            }
            events = again(&path, last.as_deref(), client).await?;
            output.say("the node is back");
        }
    };
    tokio::select! {
        ended = watching => ended,
        _ = tokio::signal::ctrl_c() => Ok(()),
    }
}

/// Prints events until there are no more.
async fn follow(
    events: &mut Events,
    last: &mut Option<String>,
    output: &Output,
) -> Result<(), Failure> {
    while let Some((id, event)) = events.next::<ObjectEvent>().await? {
        output.event(&event, |out| writeln!(out, "{}", line(&event)))?;
        // Printed: it need not come again.
        *last = id.or(last.take());
    }
    Ok(())
}

/// Asks until the node is there again.
async fn again(path: &str, last: Option<&str>, client: &Client) -> Result<Events, Failure> {
    loop {
        match client.events(path, last).await {
            Err(failure) if is_passing(&failure) => tokio::time::sleep(LOOK_AGAIN).await,
            other => return other,
        }
    }
}

/// Whether a node that comes back ends it.
fn is_passing(failure: &Failure) -> bool {
    matches!(failure.code, Code::NotRunning | Code::TryAgain)
}

fn line(event: &ObjectEvent) -> String {
    let (name, number) = (&event.reference, event.newest);
    match &event.version {
        Some(version) if version.root.is_none() => format!("{name}@v{number}  removed"),
        Some(version) => {
            let size = size(version.size);
            format!("{name}@v{number}  {size}  {}", version.vguid)
        }
        None => {
            let branches: Vec<&str> = event.fork.iter().map(|branch| &*branch.vguid).collect();
            format!("{name}@v{number}  fork: {}", branches.join(", "))
        }
    }
}
