//! The Hedgerow node: one swarm, its services, its doors.
