//! What an instance is told in its environment.

use std::fmt;

use crate::params::{self, ParamError, Params};

/// Where the sync service listens unless told otherwise.
pub const SYNC_PORT: u16 = 5050;

/// The variable with the run's seed, which Testground does not have.
pub const SEED: &str = "HEDGEROW_SEED";

/// The variable with the number of faults to come, which Testground does not have (F6).
pub const FAULTS: &str = "HEDGEROW_FAULTS";

/// The environment of one instance, in Testground's variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    /// `TEST_PLAN`.
    pub plan: String,
    /// `TEST_CASE`.
    pub case: String,
    /// `TEST_RUN`: different for each run.
    pub run: String,
    /// `TEST_INSTANCE_COUNT`: instances of all groups.
    pub instances: usize,
    /// `TEST_INSTANCE_PARAMS`.
    pub params: Params,
    /// `TEST_GROUP_ID`.
    pub group: String,
    /// `TEST_GROUP_INSTANCE_COUNT`.
    pub group_instances: usize,
    /// `TEST_SIDECAR`: whether the network can be shaped by the sync service.
    pub sidecar: bool,
    /// `TEST_SUBNET`: the network the instances share, as `10.77.0.0/24`.
    pub subnet: String,
    /// `TEST_OUTPUTS_PATH`: a folder for what shall be kept.
    pub outputs: String,
    /// `TEST_TEMP_PATH`: a folder that goes with the run.
    pub temp: String,
    /// `TEST_START_TIME`: when the run began, RFC 3339.
    pub start: String,
    /// `SYNC_SERVICE_HOST`.
    pub sync_host: String,
    /// `SYNC_SERVICE_PORT`.
    pub sync_port: u16,
    /// [`SEED`].
    pub seed: u64,
    /// [`FAULTS`]; 0 where nobody makes any.
    pub faults: usize,
}

/// The environment is not one of an instance.
#[derive(Debug, thiserror::Error)]
pub enum EnvironmentError {
    /// A variable that has to be there is not.
    #[error("{0} is not set: this program is started by `testground run`")]
    Missing(&'static str),
    /// A variable has an impossible value.
    #[error("{name} is `{value}`")]
    Invalid {
        /// The variable.
        name: &'static str,
        /// Its value.
        value: String,
    },
    /// `TEST_INSTANCE_PARAMS` cannot be read.
    #[error("TEST_INSTANCE_PARAMS")]
    Params(#[from] ParamError),
}

impl Environment {
    /// The variables.
    ///
    /// # Errors
    /// If the parameters cannot be encoded.
    pub fn variables(&self) -> Result<Vec<(&'static str, String)>, ParamError> {
        Ok(vec![
            ("TEST_PLAN", self.plan.clone()),
            ("TEST_CASE", self.case.clone()),
            ("TEST_RUN", self.run.clone()),
            ("TEST_INSTANCE_COUNT", self.instances.to_string()),
            ("TEST_INSTANCE_PARAMS", params::encode(&self.params)?),
            ("TEST_GROUP_ID", self.group.clone()),
            (
                "TEST_GROUP_INSTANCE_COUNT",
                self.group_instances.to_string(),
            ),
            ("TEST_SIDECAR", self.sidecar.to_string()),
            ("TEST_SUBNET", self.subnet.clone()),
            ("TEST_OUTPUTS_PATH", self.outputs.clone()),
            ("TEST_TEMP_PATH", self.temp.clone()),
            ("TEST_START_TIME", self.start.clone()),
            ("SYNC_SERVICE_HOST", self.sync_host.clone()),
            ("SYNC_SERVICE_PORT", self.sync_port.to_string()),
            (SEED, self.seed.to_string()),
            (FAULTS, self.faults.to_string()),
        ])
    }

    /// This process's environment.
    pub fn of_process() -> Result<Environment, EnvironmentError> {
        Environment::from_lookup(|name| std::env::var(name).ok())
    }

    /// An environment from any source of variables. What only newer Testgrounds or only this
    /// runner set may be missing.
    pub fn from_lookup(
        lookup: impl Fn(&str) -> Option<String>,
    ) -> Result<Environment, EnvironmentError> {
        let text = |name| lookup(name).ok_or(EnvironmentError::Missing(name));
        let count = |name| text(name).and_then(|value| number(name, value));
        let subnet = text("TEST_SUBNET")?;
        Ok(Environment {
            plan: text("TEST_PLAN")?,
            case: text("TEST_CASE")?,
            run: text("TEST_RUN")?,
            instances: count("TEST_INSTANCE_COUNT")?,
            params: params::decode(&lookup("TEST_INSTANCE_PARAMS").unwrap_or_default())?,
            group: lookup("TEST_GROUP_ID").unwrap_or_default(),
            group_instances: count("TEST_GROUP_INSTANCE_COUNT")?,
            sidecar: lookup("TEST_SIDECAR").is_some_and(|value| value == "true"),
            subnet,
            outputs: text("TEST_OUTPUTS_PATH")?,
            temp: lookup("TEST_TEMP_PATH")
                .unwrap_or_else(|| std::env::temp_dir().to_string_lossy().into_owned()),
            start: lookup("TEST_START_TIME").unwrap_or_default(),
            sync_host: lookup("SYNC_SERVICE_HOST")
                .unwrap_or_else(|| "testground-sync-service".to_owned()),
            sync_port: match lookup("SYNC_SERVICE_PORT") {
                Some(value) => number("SYNC_SERVICE_PORT", value)?,
                None => SYNC_PORT,
            },
            seed: match lookup(SEED) {
                Some(value) => number(SEED, value)?,
                None => 0,
            },
            faults: match lookup(FAULTS) {
                Some(value) => number(FAULTS, value)?,
                None => 0,
            },
        })
    }

    /// A parameter, which has to be there and of its type.
    pub fn param<T: std::str::FromStr>(&self, name: &'static str) -> Result<T, EnvironmentError> {
        let value = self
            .params
            .get(name)
            .ok_or(EnvironmentError::Missing(name))?;
        number(name, value.clone())
    }
}

fn number<T: std::str::FromStr>(name: &'static str, value: String) -> Result<T, EnvironmentError> {
    value
        .parse()
        .map_err(|_| EnvironmentError::Invalid { name, value })
}

impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} run {}", self.plan, self.case, self.run)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn an_instance_reads_what_the_runner_wrote() {
        let written = Environment {
            plan: "p".to_owned(),
            case: "c".to_owned(),
            run: "r".to_owned(),
            instances: 5,
            params: Params::from([("a".to_owned(), "1".to_owned())]),
            group: "single".to_owned(),
            group_instances: 5,
            sidecar: false,
            subnet: "10.77.0.0/24".to_owned(),
            outputs: "/out".to_owned(),
            temp: "/tmp/x".to_owned(),
            start: "2026-01-01T00:00:00Z".to_owned(),
            sync_host: "10.77.0.6".to_owned(),
            sync_port: 5050,
            seed: 7,
            faults: 3,
        };
        let mut variables: BTreeMap<_, _> = written.variables().unwrap().into_iter().collect();
        let read = Environment::from_lookup(|name| variables.get(name).cloned()).unwrap();
        assert_eq!(read, written);
        assert_eq!(read.param::<u32>("a").unwrap(), 1);
        assert!(read.param::<u32>("b").is_err());
        variables.insert("TEST_INSTANCE_COUNT", "five".to_owned());
        assert!(Environment::from_lookup(|name| variables.get(name).cloned()).is_err());
    }
}
