//! One fetch for all who want the same (Q21).

use std::{collections::HashMap, sync::Arc};

use guid::Guid;
use http::StatusCode;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::{arriving::Arriving, forward::Failure};

/// How far a fetch is.
#[derive(Clone, Debug)]
pub(crate) enum Flight {
    /// The origin has not answered yet.
    Asked,
    /// It has, and everybody may have it.
    Arriving(Arc<Arriving>),
    /// It has, and nobody else may have it, or it is what was in the store already.
    Over {
        /// Whether the store can answer now.
        stored: bool,
    },
    /// The origin failed, with this status or without an answer.
    Failed(Result<StatusCode, Failure>),
}

/// The fetches under way.
#[derive(Debug, Default)]
pub(crate) struct Flights(Arc<Mutex<HashMap<Guid, watch::Receiver<Flight>>>>);

/// A part in a fetch.
pub(crate) enum Part {
    /// To do it.
    Lead(Lead),
    /// To wait for it.
    Follow(watch::Receiver<Flight>),
}

/// The right to fetch. Dropped, the fetch is over.
#[derive(Debug)]
pub(crate) struct Lead {
    object: Guid,
    flights: Arc<Mutex<HashMap<Guid, watch::Receiver<Flight>>>>,
    state: watch::Sender<Flight>,
}

impl Flights {
    pub(crate) fn join(&self, object: Guid) -> Part {
        let mut flights = self.0.lock();
        if let Some(flight) = flights.get(&object) {
            return Part::Follow(flight.clone());
        }
        let (state, flight) = watch::channel(Flight::Asked);
        flights.insert(object, flight);
        Part::Lead(Lead {
            object,
            flights: Arc::clone(&self.0),
            state,
        })
    }
}

impl Lead {
    pub(crate) fn tell(&self, flight: Flight) {
        self.state.send_replace(flight);
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        self.flights.lock().remove(&self.object);
    }
}
