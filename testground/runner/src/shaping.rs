//! Networks that instances ask for themselves, in the form of Testground's SDKs (Y11 to Y13 of
//! `docs/specs/sync-service.md`).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use lab::{Rule, Shape, Uplink};
use serde::Deserialize;
use serde_json::Value;

/// The state that is entered once for each instance when requests are listened to.
pub const INITIALIZED: &str = "network-initialized";

/// The one network there is.
const NETWORK: &str = "default";

/// Subnets that one request may name: each is a rule of the switch for one sender.
const MAX_RULES: usize = 256;

/// What an instance asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// Entered when it is done; nothing where it is empty.
    pub callback_state: String,
    enable: bool,
    default: Link,
    rules: Vec<(Subnet, Link)>,
}

/// A request as it is written.
#[derive(Deserialize)]
#[serde(default)]
struct Written {
    network: String,
    enable: bool,
    default: Link,
    rules: Vec<WrittenRule>,
    #[serde(alias = "state")]
    callbackstate: String,
    ipv4: Option<Value>,
    ipv6: Option<Value>,
}

#[derive(Deserialize)]
struct WrittenRule {
    #[serde(flatten)]
    link: Link,
    subnet: String,
}

/// Testground's link shape: nanoseconds, bits a second, percent.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
struct Link {
    latency: u64,
    jitter: u64,
    bandwidth: u64,
    filter: u8,
    loss: f64,
    corrupt: f64,
    corruptcorr: f64,
    reorder: f64,
    reordercorr: f64,
    duplicate: f64,
    duplicatecorr: f64,
}

/// LANs that a node may be on.
const MAX_LANS: u8 = 8;

/// Addresses that begin alike.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Subnet {
    address: IpAddr,
    bits: u32,
}

impl Default for Written {
    fn default() -> Self {
        Written {
            network: NETWORK.to_owned(),
            enable: false,
            default: Link::default(),
            rules: Vec::new(),
            callbackstate: String::new(),
            ipv4: None,
            ipv6: None,
        }
    }
}

impl Request {
    /// The request in a payload; what is wrong with one that cannot be done.
    pub fn parse(payload: &Value) -> Result<Request, String> {
        let plain = plain(payload);
        let written: Written = serde_json::from_value(plain).map_err(|error| error.to_string())?;
        if written.network != NETWORK {
            return Err(format!(
                "no network `{}`; there is `{NETWORK}`",
                written.network
            ));
        }
        let set = |address: &Option<Value>| {
            address
                .as_ref()
                .is_some_and(|value| !value.is_null() && value != "")
        };
        if set(&written.ipv4) || set(&written.ipv6) {
            return Err("addresses are the lab's and cannot be changed".to_owned());
        }
        if written.rules.len() > MAX_RULES {
            return Err(format!(
                "{} rules; at most {MAX_RULES}",
                written.rules.len()
            ));
        }
        let rules = written
            .rules
            .into_iter()
            .map(|rule| Ok((Subnet::parse(&rule.subnet)?, rule.link)))
            .collect::<Result<Vec<_>, String>>()?;
        for link in rules.iter().map(|(_, link)| link).chain([&written.default]) {
            link.shape()?;
        }
        Ok(Request {
            callback_state: written.callbackstate,
            enable: written.enable,
            default: written.default,
            rules,
        })
    }

    /// How packets fare that `sender`, one of the first `instances` nodes, sends, and where its
    /// link is off those that it is sent.
    pub(crate) fn switch_rules(&self, sender: usize, instances: usize) -> Vec<Rule> {
        let all: Vec<usize> = (0..instances).collect();
        if !self.enable {
            return Rule::between(&[sender], &all, &Shape::blocked()).to_vec();
        }
        let shape = |link: &Link, has_rate: bool| {
            let shape = link.shape().expect("shapes are checked when they are read");
            let rate = (has_rate && link.bandwidth > 0).then_some(link.bandwidth);
            Shape { rate, ..shape }
        };
        let mut rules = vec![Rule::one_way(&[sender], &all, shape(&self.default, false))];
        for (subnet, link) in &self.rules {
            let to: Vec<usize> = all
                .iter()
                .copied()
                .filter(|node| subnet.has(lab_addresses(*node)))
                .collect();
            rules.push(Rule::one_way(&[sender], &to, shape(link, true)));
        }
        rules
    }

    /// How fast the sender's interface is, where it is `uplink` otherwise.
    pub(crate) fn uplink(&self, uplink: Uplink) -> Uplink {
        match self.default.bandwidth {
            0 => uplink,
            bits => Uplink {
                up: Some(bits),
                ..uplink
            },
        }
    }
}

impl Link {
    fn shape(&self) -> Result<Shape, String> {
        let correlated = [self.corruptcorr, self.reordercorr, self.duplicatecorr];
        if correlated.iter().any(|percent| *percent != 0.0) {
            return Err("each packet fares by itself: there is no correlation".to_owned());
        }
        let blocked = match self.filter {
            0 => false,
            1 | 2 => true,
            other => return Err(format!("filter is {other}: 0 accept, 1 reject, 2 drop")),
        };
        let shape = Shape {
            latency: Duration::from_nanos(self.latency),
            jitter: Duration::from_nanos(self.jitter),
            loss: self.loss / 100.0,
            corrupt: self.corrupt / 100.0,
            reorder: self.reorder / 100.0,
            duplicate: self.duplicate / 100.0,
            blocked,
            ..Shape::default()
        };
        shape.validate().map_err(|error| error.to_string())?;
        Ok(shape)
    }
}

impl Subnet {
    fn parse(text: &str) -> Result<Subnet, String> {
        let parsed = text.split_once('/').and_then(|(address, bits)| {
            Some((address.parse::<IpAddr>().ok()?, bits.parse::<u32>().ok()?))
        });
        match parsed {
            Some((address, bits)) if bits <= width(address) => Ok(Subnet { address, bits }),
            _ => Err(format!("`{text}` is no subnet as in `10.77.0.0/24`")),
        }
    }

    fn has(self, mut addresses: impl Iterator<Item = IpAddr>) -> bool {
        addresses.any(|address| {
            let differ = match (self.address, address) {
                (IpAddr::V4(a), IpAddr::V4(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros(),
                (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros(),
                _ => return false,
            };
            differ >= self.bits
        })
    }
}

fn width(address: IpAddr) -> u32 {
    match address {
        IpAddr::V4(_) => Ipv4Addr::BITS,
        IpAddr::V6(_) => Ipv6Addr::BITS,
    }
}

/// A node's addresses on all LANs that it may be on, as `docs/lab.md` has them.
fn lab_addresses(node: usize) -> impl Iterator<Item = IpAddr> {
    let last = u8::try_from(node + 1).unwrap_or(u8::MAX);
    (0..MAX_LANS).flat_map(move |lan| {
        let four = Ipv4Addr::new(10, 77, lan, last);
        let six = Ipv6Addr::new(0xfd77, 0, 0, lan.into(), 0, 0, 0, last.into());
        [IpAddr::from(four), IpAddr::from(six)]
    })
}

/// The same with keys in small letters and without `_`: some SDKs write `callback_state`, others
/// `CallbackState`.
fn plain(value: &Value) -> Value {
    match value {
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| (key.to_lowercase().replace('_', ""), plain(value)))
            .collect(),
        Value::Array(list) => list.iter().map(plain).collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// Of two nodes the first's way to the second.
    fn way(request: &Request, from: usize, to: usize) -> Shape {
        let rules = request.switch_rules(0, 3);
        let names = |nodes: &Option<Vec<usize>>, node| nodes.as_ref().unwrap().contains(&node);
        let fits = |rule: &&Rule| names(&rule.from, from) && names(&rule.to, to);
        let rule = rules.iter().rev().find(fits);
        rule.map(|rule| rule.shape.clone()).unwrap_or_default()
    }

    #[test]
    fn both_spellings_are_read_and_subnets_have_their_own_rules() {
        let snake = json!({
            "network": "default", "enable": true, "callback_state": "shaped",
            "default": {"latency": 5_000_000, "loss": 20, "bandwidth": 1_000_000, "filter": 0},
            "rules": [{"latency": 0, "bandwidth": 8000, "filter": 0, "subnet": "10.77.0.2/32"},
                      {"filter": 2, "subnet": "fd77::3/128"}],
            "routing_policy": "allow_all",
        });
        let camel = json!({
            "Network": "default", "Enable": true, "State": "shaped", "IPv4": null,
            "Default": {"Latency": 5_000_000, "Loss": 20, "Bandwidth": 1_000_000},
            "Rules": [{"Bandwidth": 8000, "Subnet": "10.77.0.2/32"}, {"Filter": 2, "Subnet": "fd77::3/128"}],
        });
        let request = Request::parse(&snake).unwrap();
        assert_eq!(request, Request::parse(&camel).unwrap());
        assert_eq!(request.callback_state, "shaped");
        let slow = Shape::latency(Duration::from_millis(5)).with_loss(0.2);
        assert_eq!(way(&request, 0, 0), slow);
        assert_eq!(way(&request, 0, 1), Shape::default().with_rate(8000));
        assert!(way(&request, 0, 2).blocked && !way(&request, 1, 0).blocked);
        assert_eq!(request.uplink(Uplink::default()).up, Some(1_000_000));
    }

    #[test]
    fn a_link_that_is_off_passes_nothing_either_way() {
        let request = Request::parse(&json!({"callback_state": "off"})).unwrap();
        assert!(way(&request, 0, 1).blocked && way(&request, 2, 0).blocked);
    }

    #[test]
    fn what_cannot_be_is_refused_with_its_reason() {
        for (payload, expected) in [
            (json!({"network": "other"}), "no network `other`"),
            (json!({"ipv4": "16.0.0.1/16"}), "cannot be changed"),
            (json!({"default": {"loss": 101}}), "loss is 1.01"),
            (json!({"default": {"filter": 3}}), "filter is 3"),
            (json!({"default": {"reorder_corr": 1}}), "no correlation"),
            (json!({"default": {"latency": u64::MAX}}), "at most an hour"),
            (json!({"default": {"latency": -1}}), "invalid value"),
            (json!({"rules": [{"subnet": "10.0.0.0/33"}]}), "no subnet"),
            (json!({"rules": [{}]}), "missing field `subnet`"),
            (json!(5), "invalid type"),
        ] {
            let error = Request::parse(&payload).unwrap_err();
            assert!(error.contains(expected), "{payload}: {error}");
        }
    }

    proptest! {
        #[test]
        fn no_payload_makes_the_reader_panic(
            number in any::<f64>(), text in ".{0,12}", enable in any::<bool>()
        ) {
            let payload = json!({
                "enable": enable, "network": "default",
                "default": {"loss": number, "latency": number},
                "rules": [{"subnet": text, "loss": number}],
            });
            if let Ok(request) = Request::parse(&payload) {
                request.switch_rules(0, 3);
            }
        }
    }
}
