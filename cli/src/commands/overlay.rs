//! `hedgerow overlay`.

use std::io::Write;

use node::api::types::{Contact, LeafSet, Route, Table, Trace};

use super::{millis, segment};
use crate::{args::Overlay, client::Client, exit::Failure, output::Output};

pub(crate) async fn run(command: Overlay, client: &Client, output: &Output) -> Result<(), Failure> {
    match command {
        Overlay::Leafset => {
            let set: LeafSet = client.get("/api/v1/overlay/leafset").await?;
            output.result(&set, |out| {
                for contact in set.smaller.iter().rev() {
                    line(out, "<", contact)?;
                }
                line(out, "=", &set.me)?;
                for contact in &set.larger {
                    line(out, ">", contact)?;
                }
                Ok(())
            })?;
            output.say(format_args!("overlay: {}", set.state));
            Ok(())
        }
        Overlay::Table => {
            let table: Table = client.get("/api/v1/overlay/table").await?;
            output.result(&table, |out| {
                for entry in &table.entries {
                    let cell = format!("{:2} {:x}", entry.row, entry.column);
                    line(out, &cell, &entry.contact)?;
                }
                for contact in &table.neighbourhood {
                    line(out, "near", contact)?;
                }
                Ok(())
            })
        }
        Overlay::Route { key } => {
            let path = format!("/api/v1/overlay/route/{}", segment(&key));
            let route: Route = client.get(&path).await?;
            output.result(&route, |out| {
                for contact in &route.closest {
                    line(out, "", contact)?;
                }
                Ok(())
            })?;
            output.say(format_args!("key: {}", route.key));
            Ok(())
        }
        Overlay::Trace { key } => {
            let path = format!("/api/v1/overlay/trace/{}", segment(&key));
            let trace: Trace = client.get(&path).await?;
            output.result(&trace, |out| {
                for (number, hop) in trace.hops.iter().enumerate() {
                    let shared = hop.shared_prefix;
                    let rtt = millis(hop.rtt_ms);
                    let contact = &hop.contact;
                    writeln!(
                        out,
                        "{number:2}  {}  shares {shared:2}  {rtt:>10}  {}",
                        contact.guid, contact.peer_id
                    )?;
                }
                Ok(())
            })?;
            output.say(format_args!("key: {}", trace.key));
            Ok(())
        }
    }
}

fn line(out: &mut dyn Write, mark: &str, contact: &Contact) -> std::io::Result<()> {
    let rtt = millis(contact.rtt_ms);
    writeln!(
        out,
        "{mark:4}  {}  {rtt:>10}  {}",
        contact.guid, contact.peer_id
    )
}
