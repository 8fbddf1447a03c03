//! When to look at the interfaces again.

use std::{
    task::{Context, Poll},
    time::{Duration, Instant},
};

use if_watch::tokio::IfWatcher;

use crate::backoff::Backoff;

/// Time after which the interfaces are looked at again in any case (M1): an
/// interface may lose its ability to multicast with no address changing.
const RESCAN: Duration = Duration::from_secs(15);

/// The same while the system does not tell of changes.
const RESCAN_BLIND: Duration = Duration::from_secs(2);

/// Least time between two looks, however fast addresses change.
const SPACING: Duration = Duration::from_millis(100);

/// Most changes taken in at once.
const EVENTS_PER_POLL: usize = 64;

/// Waits until the system is asked again to tell of changes.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

pub(crate) struct Watch {
    watcher: Option<IfWatcher>,
    retry: Backoff,
    retry_at: Instant,
    last_scan: Option<Instant>,
    scan_at: Instant,
}

impl Watch {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            watcher: None,
            retry: Backoff::new(RETRY.0, RETRY.1),
            retry_at: now,
            last_scan: None,
            scan_at: now,
        }
    }

    /// Whether to look at the interfaces now.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        if self.watcher.is_none() && self.retry_at <= now {
            match IfWatcher::new() {
                Ok(watcher) => self.watcher = Some(watcher),
                Err(error) => self.on_failure(now, &error),
            }
        }
        if self.changed(cx, now) {
            let soonest = self.last_scan.map_or(now, |last| last + SPACING);
            self.scan_at = self.scan_at.min(soonest.max(now));
        }
        if self.scan_at > now {
            return false;
        }
        let blind = self.watcher.is_none();
        self.scan_at = now + if blind { RESCAN_BLIND } else { RESCAN };
        self.last_scan = Some(now);
        true
    }

    fn changed(&mut self, cx: &mut Context<'_>, now: Instant) -> bool {
        for events in 0..EVENTS_PER_POLL {
            let Some(watcher) = &mut self.watcher else {
                return events > 0;
            };
            match watcher.poll_if_event(cx) {
                Poll::Ready(Ok(_)) => self.retry.reset(),
                Poll::Ready(Err(error)) => {
                    self.on_failure(now, &error);
                    return true;
                }
                Poll::Pending => return events > 0,
            }
        }
        cx.waker().wake_by_ref();
        true
    }

    fn on_failure(&mut self, now: Instant, error: &std::io::Error) {
        let wait = self.retry.step();
        tracing::warn!(%error, ?wait, "interfaces are not watched, only looked at");
        self.watcher = None;
        self.retry_at = now + wait;
    }

    /// When [`Self::poll`] wants to be called.
    pub(crate) fn deadline(&self) -> Instant {
        match &self.watcher {
            Some(_) => self.scan_at,
            None => self.scan_at.min(self.retry_at),
        }
    }
}
