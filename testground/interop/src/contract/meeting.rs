//! The Redis where the two sides meet (X20).

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use redis::{Connection, RedisError, TypedCommands};
use tokio::task::spawn_blocking;

use super::environment::Task;

/// How long a Redis is tried that does not answer: it is started together with the two sides.
const REACH: Duration = Duration::from_secs(20);

/// Until it is tried again.
const AGAIN: Duration = Duration::from_millis(200);

/// How long one attempt to reach it may take.
const ATTEMPT: Duration = Duration::from_secs(2);

/// Longest address that is taken; what is longer is none.
const MAX_ADDRESS: usize = 4096;

/// Where the address is left.
#[derive(Clone, Debug)]
pub(super) struct Meeting {
    client: redis::Client,
    redis: String,
    key: String,
    deadline: Instant,
}

impl Meeting {
    pub(super) fn new(task: &Task, deadline: Instant) -> anyhow::Result<Meeting> {
        let client = redis::Client::open(format!("redis://{}/", task.redis))
            .with_context(|| format!("`{}` is no address of a Redis", task.redis))?;
        Ok(Meeting {
            client,
            redis: task.redis.clone(),
            key: task.key.clone(),
            deadline,
        })
    }

    /// Leaves the listener's address.
    pub(super) async fn leave(self, address: String) -> anyhow::Result<()> {
        spawn_blocking(move || {
            let mut redis = self.connect()?;
            redis
                .rpush(&self.key, address)
                .with_context(|| format!("Redis did not take the address as {}", self.key))?;
            Ok(())
        })
        .await?
    }

    /// Waits for the listener's address.
    pub(super) async fn take(self) -> anyhow::Result<String> {
        spawn_blocking(move || {
            let mut redis = self.connect()?;
            let left = self.deadline.saturating_duration_since(Instant::now());
            // Redis ends the wait; where it does not, this side does.
            redis.set_read_timeout(Some(left + ATTEMPT))?;
            let address = match redis.blpop(&self.key, left.as_secs_f64().max(0.01)) {
                Ok(Some([_, address])) => address,
                Ok(None) => bail!("no listener has left an address as {}", self.key),
                // Some listeners set a value instead of making a list.
                Err(error) if is_other_type(&error) => redis
                    .get(&self.key)?
                    .with_context(|| format!("{} is gone again", self.key))?,
                Err(error) => return Err(error).context("waiting for the listener's address"),
            };
            if address.len() > MAX_ADDRESS {
                bail!("the listener left {} bytes as its address", address.len());
            }
            Ok(address)
        })
        .await?
    }

    fn connect(&self) -> anyhow::Result<Connection> {
        let last = self.deadline.min(Instant::now() + REACH);
        loop {
            match self.client.get_connection_with_timeout(ATTEMPT) {
                Ok(connection) => return Ok(connection),
                Err(error) if Instant::now() + AGAIN >= last => {
                    return Err(error)
                        .with_context(|| format!("there is no Redis at {}", self.redis));
                }
                // It is being started: nobody says when it has been.
                Err(_) => sleep(AGAIN),
            }
        }
    }
}

fn is_other_type(error: &RedisError) -> bool {
    error.code() == Some("WRONGTYPE")
}
