//! Manifests and compositions: what is read, and what is refused where.

use std::path::Path;

use testground::composition::Composition;
use testground::manifest::{Instances, Manifest};
use testground::params::Params;

const GOOD: &str = r#"
name = "discovery"
[defaults]
builder = "exec:bin"
runner = "local:lab"
[builders."exec:bin"]
enabled = true
program = "plans"
[[testcases]]
name = "lan"
instances = { min = 2, max = 100, default = 4 }
[testcases.params]
within = { type = "duration", desc = "how long it may take", unit = "time", default = "30s" }
rounds = { type = "int", default = 3 }
label = { type = "string" }
"#;

fn manifest(text: &str) -> Result<Manifest, String> {
    Manifest::parse(Path::new("manifest.toml"), text).map_err(|error| error.to_string())
}

fn composition(text: &str) -> Result<Vec<(String, usize, Params)>, String> {
    Composition::parse(Path::new("c.toml"), text)
        .map(|(_, groups)| {
            groups
                .into_iter()
                .map(|group| (group.id, group.count, group.params))
                .collect()
        })
        .map_err(|error| error.to_string())
}

fn set(pairs: &[(&str, &str)]) -> Params {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

#[test]
fn a_manifest_is_read() {
    let manifest = manifest(GOOD).unwrap();
    assert_eq!(manifest.name(), "discovery");
    assert_eq!(manifest.program(), Some("plans"));
    let case = manifest.case("lan").unwrap();
    let instances = Instances {
        min: 2,
        max: 100,
        default: 4,
    };
    assert_eq!(case.instances(), instances);
    assert_eq!(
        case.params_with(&set(&[("label", "x"), ("rounds", "7")])),
        Ok(set(&[("label", "x"), ("rounds", "7"), ("within", "30s")]))
    );
}

#[test]
fn what_a_manifest_does_not_have_is_refused_with_the_nearest_name() {
    let manifest = manifest(GOOD).unwrap();
    let refused = manifest.case("lna").unwrap_err();
    assert!(refused.contains("did you mean `lan`?"), "{refused}");
    let case = manifest.case("lan").unwrap();
    for (params, reason) in [
        (
            set(&[("label", "x"), ("round", "7")]),
            "did you mean `rounds`?",
        ),
        (
            set(&[("label", "x"), ("rounds", "many")]),
            "`many` is not a whole number",
        ),
        (
            set(&[("label", "a|b")]),
            "`|` cannot be encoded in its value",
        ),
        (set(&[]), "parameter `label` has no default"),
    ] {
        let refused = case.params_with(&params).unwrap_err();
        assert!(refused.contains(reason), "{refused}");
    }
    assert_eq!(case.check_count(2), Ok(2));
    assert!(case.check_count(1).is_err() && case.check_count(101).is_err());
}

#[test]
fn mistakes_in_a_manifest_are_named_with_their_line() {
    for (right, wrong, expected) in [
        (
            "runner = ",
            "runer = ",
            "manifest.toml:5: unknown field `runer`, expected `builder` or `runner`; did you mean `runner`?",
        ),
        ("min = 2", "min = 5", "manifest.toml:11: instances: "),
        ("min = 2", "min = 0", "manifest.toml:11: instances: "),
        (
            "default = 3 }",
            "default = \"x\" }",
            "manifest.toml:14: default of `rounds`: ",
        ),
        (
            "type = \"int\"",
            "type = \"integer\"",
            "manifest.toml:14: unknown variant `integer`",
        ),
        (
            "name = \"lan\"",
            "name = \"l/n\"",
            "manifest.toml:10: `l/n` is no name",
        ),
        ("program = ", "programm = ", "did you mean `program`?"),
        (
            "default = 4 }",
            "default = 4 }\nlab = { lans = 9 }",
            "manifest.toml:12: `lans` is 1 to 8",
        ),
        (
            "default = 4 }",
            "default = 4 }\nlab = { lans = 2, interfaces = 2 }",
            "manifest.toml:12: several `lans` or several `interfaces`",
        ),
        (
            "default = 4 }",
            "default = 4 }\nlab = { family = \"ipv5\" }",
            "did you mean `ipv4`?",
        ),
        (
            "default = \"30s\"",
            "default = \"a=b\"",
            "manifest.toml:13: parameter `within`: `=`",
        ),
    ] {
        let text = GOOD.replace(right, wrong);
        assert_ne!(text, GOOD);
        let error = manifest(&text).unwrap_err();
        assert!(error.contains(expected), "{error} does not have {expected}");
    }
    assert!(
        manifest("name = \"x\"\ntestcases = []")
            .unwrap_err()
            .contains("testcases")
    );
}

const GROUPS: &str = r#"
[metadata]
name = "old and new"
[global]
plan = "discovery"
case = "lan"
total_instances = 4
[global.run.test_params]
rounds = "2"
[[groups]]
id = "old"
instances = { count = 3 }
[[groups]]
id = "new"
instances = { percentage = 0.25 }
[groups.run.test_params]
rounds = "5"
"#;

#[test]
fn a_composition_is_read() {
    assert_eq!(
        composition(GROUPS).unwrap(),
        [
            ("old".to_owned(), 3, set(&[("rounds", "2")])),
            ("new".to_owned(), 1, set(&[("rounds", "5")])),
        ]
    );
}

#[test]
fn mistakes_in_a_composition_are_named_with_their_line() {
    for (right, wrong, expected) in [
        (
            "total_instances = 4",
            "total_instances = 5",
            "c.toml:7: `total_instances` is 5",
        ),
        (
            "count = 3",
            "count = 3, percentage = 0.5",
            "c.toml:12: one of",
        ),
        ("percentage = 0.25", "percentage = 25", "c.toml:15: "),
        (
            "id = \"new\"",
            "id = \"old\"",
            "c.toml:14: group `old` is there twice",
        ),
        (
            "[metadata]",
            "[metdata]",
            "c.toml:2: unknown field `metdata`",
        ),
    ] {
        let error = composition(&GROUPS.replace(right, wrong)).unwrap_err();
        assert!(error.contains(expected), "{error} does not have {expected}");
    }
}

#[test]
fn faults_stand_in_a_manifest_and_in_a_composition() {
    let list = |name: &str, percent: u32| {
        format!(
            "[{name}]\nend = \"9s\"\n[[{name}.fault]]\nkind = \"loss\"\nat = \"1s\"\npercent = {percent}\n"
        )
    };
    let text = format!("{GOOD}{}", list("testcases.faults", 20));
    let case = manifest(&text).unwrap().case("lan").unwrap().clone();
    assert!(case.faults().is_some());
    let error = manifest(&format!("{GOOD}{}", list("testcases.faults", 200))).unwrap_err();
    assert!(error.contains("manifest.toml:21: `percent` is"), "{error}");

    let text = format!("{GROUPS}{}", list("faults", 20));
    let (parsed, _) = Composition::parse(Path::new("c.toml"), &text).unwrap();
    assert!(parsed.faults().is_some());
    let error = composition(&format!("{GROUPS}{}", list("faults", 200))).unwrap_err();
    assert!(error.contains("c.toml:23: `percent` is"), "{error}");
}
