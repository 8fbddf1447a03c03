//! Work of the node that takes long, and shows how far it is.

use node::api::types::{
    ArchiveEvent, Failure as Said, FsckEvent, GcEvent, JobProgress, PinEvent, PruneEvent,
};
use serde::de::DeserializeOwned;

use crate::{
    client::Lines,
    exit::{Code, Failure},
    output::Output,
};

/// A line of what the node says of its work.
pub(super) trait Event: DeserializeOwned {
    /// Whether it says how far it is or that it failed, or else the last line itself.
    fn step(self) -> Step<Self>;
}

/// What a line says.
pub(super) enum Step<E> {
    At(JobProgress),
    Failed(Said),
    End(E),
}

macro_rules! event {
    ($($kind:ident),*) => {$(
        impl Event for $kind {
            fn step(self) -> Step<$kind> {
                match self {
                    $kind::Progress(at) => Step::At(at),
                    $kind::Failed(failure) => Step::Failed(failure),
                    end => Step::End(end),
                }
            }
        }
    )*};
}

event!(ArchiveEvent, PinEvent, GcEvent, FsckEvent, PruneEvent);

/// Shows how far the work is, until it has come to its end; that is its last line.
pub(super) async fn follow<E: Event>(
    mut lines: Lines,
    verb: &'static str,
    output: &Output,
) -> Result<E, Failure> {
    let mut bar = None;
    while let Some(event) = lines.next::<E>().await? {
        match event.step() {
            Step::At(at) => {
                let total = Some(at.total).filter(|total| *total > 0);
                let bar = bar.get_or_insert_with(|| output.bar(total, verb));
                bar.set(at.done);
            }
            Step::Failed(failure) => {
                bar.iter().for_each(|bar| bar.done());
                return Err(failure.into());
            }
            Step::End(end) => {
                bar.iter().for_each(|bar| bar.done());
                return Ok(end);
            }
        }
    }
    Err(Failure::new(Code::TryAgain, "the node's answer broke off"))
}

/// The last line is none that belongs to the work.
pub(super) fn misunderstood() -> Failure {
    Failure::other("the node's answer is not understood: it is about something else")
}
