//! `hedgerow object prune`.

use node::api::types::{PruneDone, PruneEvent, PruneRequest};

use super::{
    archive::check,
    follow::{follow, misunderstood},
};
use crate::{
    client::Client,
    exit::Failure,
    output::{Output, size},
};

pub(super) async fn prune(
    request: PruneRequest,
    client: &Client,
    output: &Output,
) -> Result<(), Failure> {
    for name in &request.names {
        check(name)?;
    }
    let lines = client.post_json_lines("/api/v1/prune", &request).await?;
    let done = match follow(lines, "releasing", output).await? {
        PruneEvent::Done(done) => done,
        _ => return Err(misunderstood()),
    };
    output.result(&done, |out| write(&done, out))
}

fn write(done: &PruneDone, out: &mut dyn std::io::Write) -> std::io::Result<()> {
    let verb = match done.dry {
        true => "would be pruned",
        false => "pruned",
    };
    writeln!(
        out,
        "{verb}  {} versions of {} names, {} of content",
        done.versions,
        done.objects,
        size(done.bytes)
    )?;
    if !done.dry {
        writeln!(
            out,
            "released  {} blocks that this node needs no more",
            done.released
        )?;
    }
    Ok(())
}
