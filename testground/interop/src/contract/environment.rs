//! What the environment asks for (X18, X19).

use std::{
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use anyhow::{Context, bail};
use libp2p::{Multiaddr, multiaddr::Protocol};

use crate::cell::Transport;

/// Where the Redis is unless the environment says so: the name that the matrix gives it.
const REDIS: &str = "redis:6379";

/// How long a test lasts unless the environment says so.
const WITHIN: Duration = Duration::from_secs(180);

/// A test that lasts longer is a mistake.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// Key of the older contract, which has a Redis for each test.
const KEY: &str = "listenerAddr";

/// Which of the two contracts is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// That of libp2p/test-plans: lower-case names, results in JSON.
    TestPlans,
    /// That of libp2p/unified-testing: upper-case names, results in YAML.
    Unified,
}

/// What this side does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It dials and measures.
    Dialer,
    /// It listens, and is ended.
    Listener,
}

/// One test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// How results are written.
    pub dialect: Dialect,
    /// What to do.
    pub role: Role,
    /// What to do it on.
    pub transport: Transport,
    /// Where a listener listens.
    pub ip: IpAddr,
    /// The Redis, `HOST:PORT`.
    pub redis: String,
    /// Under which the listener's address is left there.
    pub key: String,
    /// How long the whole may take.
    pub within: Duration,
    /// Whether the log says more.
    pub debug: bool,
}

/// Names of the variables in a dialect.
struct Names {
    transport: &'static str,
    security: &'static str,
    muxer: &'static str,
    is_dialer: &'static str,
    ip: &'static str,
    redis: &'static str,
    within: &'static str,
}

const TEST_PLANS: Names = Names {
    transport: "transport",
    security: "security",
    muxer: "muxer",
    is_dialer: "is_dialer",
    ip: "ip",
    redis: "redis_addr",
    within: "test_timeout_seconds",
};

const UNIFIED: Names = Names {
    transport: "TRANSPORT",
    security: "SECURE_CHANNEL",
    muxer: "MUXER",
    is_dialer: "IS_DIALER",
    ip: "LISTENER_IP",
    redis: "REDIS_ADDR",
    within: "TEST_TIMEOUT_SECS",
};

impl Task {
    /// Reads it from variables; `variable` gives the value of one that is set.
    ///
    /// # Errors
    /// A variable that is missing or has a value that this node cannot serve.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> anyhow::Result<Task> {
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        let (dialect, names) = match variable("TEST_KEY").or_else(|| variable("TRANSPORT")) {
            Some(_) => (Dialect::Unified, UNIFIED),
            None => (Dialect::TestPlans, TEST_PLANS),
        };
        let needed = |name: &str| variable(name).with_context(|| format!("{name} is not set"));
        let role = match needed(names.is_dialer)?.as_str() {
            "true" => Role::Dialer,
            "false" => Role::Listener,
            other => bail!("{}: `{other}` is neither true nor false", names.is_dialer),
        };
        let transport = transport(names.transport, &needed(names.transport)?)?;
        if transport != Transport::Quic {
            only(names.security, &needed(names.security)?, "noise")?;
            only(names.muxer, &needed(names.muxer)?, "yamux")?;
        }
        let ip = match variable(names.ip) {
            None => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            Some(ip) => ip
                .parse()
                .with_context(|| format!("{}: `{ip}` is no address", names.ip))?,
        };
        let key = match dialect {
            Dialect::TestPlans => KEY.to_owned(),
            Dialect::Unified => format!("{}_listener_multiaddr", needed("TEST_KEY")?),
        };
        // Older programs are told the address in capitals whatever else they are told.
        let redis = variable(names.redis).or_else(|| variable(UNIFIED.redis));
        Ok(Task {
            dialect,
            role,
            transport,
            ip,
            redis: redis.unwrap_or_else(|| REDIS.to_owned()),
            key,
            within: within(names.within, variable(names.within))?,
            debug: variable("DEBUG").is_some_and(|debug| debug == "true"),
        })
    }

    /// Where a listener listens, on a port that the system chooses.
    pub fn listen(&self) -> Multiaddr {
        let base = Multiaddr::from(self.ip);
        match self.transport {
            Transport::Tcp => base.with(Protocol::Tcp(0)),
            Transport::Quic => base.with(Protocol::Udp(0)).with(Protocol::QuicV1),
            Transport::Ws => base.with(Protocol::Tcp(0)).with(Protocol::Ws("/".into())),
        }
    }
}

fn transport(name: &str, value: &str) -> anyhow::Result<Transport> {
    let found = Transport::ALL
        .into_iter()
        .find(|known| known.name() == value);
    found.with_context(|| {
        format!("{name}: a Hedgerow node has no transport `{value}`, but tcp, quic-v1 and ws")
    })
}

fn only(name: &str, value: &str, has: &str) -> anyhow::Result<()> {
    if value != has {
        bail!("{name}: a Hedgerow node has no `{value}`, but {has}");
    }
    Ok(())
}

fn within(name: &str, value: Option<String>) -> anyhow::Result<Duration> {
    let Some(value) = value else {
        return Ok(WITHIN);
    };
    let seconds: u64 = value
        .parse()
        .with_context(|| format!("{name}: `{value}` is no number of seconds"))?;
    let within = Duration::from_secs(seconds);
    if within.is_zero() || within > LONGEST {
        bail!(
            "{name}: {value} s are not between 1 and {}",
            LONGEST.as_secs()
        );
    }
    Ok(within)
}
