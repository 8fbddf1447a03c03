//! The program `testground`, with a plan that is a shell script.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use lab::Lab;
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, mkfifo};
use serde_json::Value;
use tempfile::TempDir;

const MANIFEST: &str = r#"
name = "script"
[builders."exec:bin"]
program = "instance.sh"
[[testcases]]
name = "one"
instances = { min = 1, max = 250, default = 2 }
[testcases.params]
greeting = { type = "string", default = "hello" }
"#;

/// Says that all is well.
const SUCCESS: &str = r#"echo '{"ts":1,"msg":"","event":{"success_event":{"group":"single"}}}'"#;

/// A folder with one plan, whose instances are this script.
struct Plan {
    folder: TempDir,
}

impl Plan {
    fn new(script: &str) -> Plan {
        let folder = tempfile::tempdir().unwrap();
        let plan = folder.path().join("plans/script");
        fs::create_dir_all(&plan).unwrap();
        fs::write(plan.join("manifest.toml"), MANIFEST).unwrap();
        let program = plan.join("instance.sh");
        fs::write(&program, format!("#!/bin/bash\n{script}\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        Plan { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_testground"));
        command
            .arg("run")
            .args(args)
            .env("TESTGROUND_PLANS", self.path("plans"))
            .env("HEDGEROW", "/bin/sh")
            .current_dir(self.folder.path());
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Starts a run whose instances hold the pipe `alive` open, and waits until each has
    /// written a line to it.
    fn start(&self, instances: usize) -> (Child, BufReader<fs::File>) {
        let pipe = self.path("alive");
        mkfifo(&pipe, Mode::S_IRWXU).unwrap();
        let child = self
            .command(&["script", "--out", "out", "--nodes", &instances.to_string()])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        let mut alive = BufReader::new(fs::File::open(&pipe).unwrap());
        for _ in 0..instances {
            let mut line = String::new();
            alive.read_line(&mut line).unwrap();
            assert_eq!(line, "up\n");
        }
        (child, alive)
    }
}

/// An instance that hangs, with children of its own that hang.
fn hanging(plan: &Path) -> String {
    let pipe = plan.join("alive");
    format!(
        "exec 3> {}\n(setsid sleep 1000 &)\nsleep 1000 &\necho last words\necho up >&3\nsleep 1000",
        pipe.display()
    )
}

fn said(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// Reads until nobody holds the other end open any more: then all processes of the
/// instances are gone.
fn until_all_are_gone(mut alive: BufReader<fs::File>) {
    let mut rest = String::new();
    while alive.read_line(&mut rest).unwrap() > 0 {}
}

#[test]
fn a_case_that_succeeds() {
    if !Lab::available_or_skip("a_case_that_succeeds") {
        return;
    }
    let plan = Plan::new(&format!(
        "env | sort > env\nexec 3<>/dev/tcp/$SYNC_SERVICE_HOST/$SYNC_SERVICE_PORT || exit 7\n\
         ip -brief address show dev eth0 > address\n{SUCCESS}"
    ));
    let output = plan.run(&[
        "script",
        "--nodes",
        "3",
        "--seed",
        "11",
        "--set",
        "greeting=good day",
        "--out",
        "out",
    ]);
    assert!(output.status.success(), "{}", said(&output));
    let text = said(&output);
    assert!(text.contains("passed  script one  3 instances"), "{text}");
    assert!(
        text.contains("testground run script one --nodes 3 --set 'greeting=good day' --seed 11"),
        "{text}"
    );
    let case = plan.path("out/script/one");
    let verdict = json(&case.join("verdict.json"));
    assert_eq!(
        (&verdict["passed"], &verdict["seed"]),
        (&true.into(), &11.into())
    );
    for instance in 0..3 {
        let outputs = case.join("single").join(instance.to_string());
        let environment = fs::read_to_string(outputs.join("env")).unwrap();
        for expected in [
            "TEST_PLAN=script",
            "TEST_CASE=one",
            "TEST_INSTANCE_COUNT=3",
            "TEST_INSTANCE_PARAMS=greeting=good day",
            "TEST_GROUP_ID=single",
            "TEST_GROUP_INSTANCE_COUNT=3",
            "TEST_SIDECAR=false",
            "TEST_SUBNET=10.77.0.0/24",
            "SYNC_SERVICE_HOST=10.77.0.4",
            "SYNC_SERVICE_PORT=5050",
            "HEDGEROW_SEED=11",
            "HEDGEROW=/",
            &format!(
                "TEST_OUTPUTS_PATH={}",
                outputs.canonicalize().unwrap().display()
            ),
            "TEST_RUN=",
            "TEST_START_TIME=2",
        ] {
            let found = environment.lines().any(|line| line.starts_with(expected));
            assert!(found, "{expected} is not in {environment}");
        }
        let address = fs::read_to_string(outputs.join("address")).unwrap();
        assert!(
            address.contains(&format!("10.77.0.{}/24", instance + 1)),
            "{address}"
        );
    }
    let junit = fs::read_to_string(plan.path("out/junit.xml")).unwrap();
    assert!(junit.contains("tests=\"1\" failures=\"0\""), "{junit}");
    assert!(case.join("report.html").is_file());
    // Results are not written over.
    let again = plan.run(&["script", "--out", "out"]);
    assert_eq!(again.status.code(), Some(2));
    assert!(
        said(&again).contains("has results already"),
        "{}",
        said(&again)
    );
}

#[test]
fn every_instance_has_to_say_that_it_succeeded_and_to_end_well() {
    if !Lab::available_or_skip("every_instance_has_to_say_that_it_succeeded_and_to_end_well") {
        return;
    }
    let failure =
        r#"echo '{"ts":1,"event":{"failure_event":{"group":"single","error":"it broke"}}}'"#;
    for (script, expected) in [
        (failure.to_owned(), "instance 1: it broke"),
        ("true".to_owned(), "said neither that it succeeded"),
        (
            format!("{SUCCESS}; exit 3"),
            "said that it succeeded, and ended with exit status: 3",
        ),
        (
            format!("{SUCCESS}; kill -9 $$; exit 1"),
            "instance 1: said that it succeeded",
        ),
    ] {
        let script = format!(
            "if [ $(basename $TEST_OUTPUTS_PATH) = 0 ]; then {SUCCESS}; exit 0; fi\n{script}"
        );
        let plan = Plan::new(&script);
        let output = plan.run(&["script", "one", "--out", "out"]);
        // The first of a process namespace cannot be killed from inside of it.
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        assert!(said(&output).contains(expected), "{}", said(&output));
        let junit = fs::read_to_string(plan.path("out/junit.xml")).unwrap();
        assert!(junit.contains("failures=\"1\""), "{junit}");
    }
}

#[test]
fn what_the_histories_show_decides_whatever_the_instances_say() {
    if !Lab::available_or_skip("what_the_histories_show_decides_whatever_the_instances_say") {
        return;
    }
    let put = r#"{"op":"put","begin":1,"end":2,"sha256":"A","size":1,"cid":"a","outcome":"ok"}"#;
    let last = r#"{"op":"final","at":3}"#;
    let get = r#"{"op":"get","begin":4,"end":5,"cid":"a","sha256":"A","outcome":"ok"}"#;
    for (lines, code, expected) in [
        (&[put, last, get][..], 0, "1 puts acknowledged, 1 gets read"),
        (&[put, last], 1, "H4: instance 0 could not read a"),
        (&["nonsense"], 2, "history.jsonl:1:"),
    ] {
        let plan = Plan::new(&format!(
            "cat > history.jsonl <<'END'\n{}\nEND\n{SUCCESS}",
            lines.join("\n")
        ));
        let output = plan.run(&["script", "--nodes", "1", "--out", "out"]);
        assert_eq!(output.status.code(), Some(code), "{}", said(&output));
        assert!(said(&output).contains(expected), "{}", said(&output));
    }
}

#[test]
fn a_case_that_hangs_is_ended_at_its_limit_with_all_it_started() {
    if !Lab::available_or_skip("a_case_that_hangs_is_ended_at_its_limit_with_all_it_started") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let plan = Plan::new(&hanging(folder.path()));
    let pipe = folder.path().join("alive");
    mkfifo(&pipe, Mode::S_IRWXU).unwrap();
    let child = plan
        .command(&["script", "--timeout", "3s", "--out", "out"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    until_all_are_gone(BufReader::new(fs::File::open(&pipe).unwrap()));
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(
        said(&output).contains("ended at the limit"),
        "{}",
        said(&output)
    );
    let case = plan.path("out/script/one");
    assert_eq!(json(&case.join("verdict.json"))["ending"], "limit");
    for instance in ["0", "1"] {
        let log = fs::read_to_string(case.join("single").join(instance).join("run.out")).unwrap();
        assert_eq!(log, "last words\n");
    }
}

#[test]
fn an_interrupt_ends_everything_and_keeps_the_logs() {
    if !Lab::available_or_skip("an_interrupt_ends_everything_and_keeps_the_logs") {
        return;
    }
    let plan = Plan::new("");
    let plan = script_in(plan);
    let (child, alive) = plan.start(2);
    // As a terminal does it: to the whole group, of which the runner is the first.
    killpg(pid(&child), Signal::SIGINT).unwrap();
    until_all_are_gone(alive);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", said(&output));
    let case = plan.path("out/script/one");
    assert_eq!(json(&case.join("verdict.json"))["ending"], "interrupted");
    let log = fs::read_to_string(case.join("single/0/run.out")).unwrap();
    assert_eq!(log, "last words\n");
    let said = said(&output);
    assert!(said.contains("interrupted  script one"), "{said}");
    assert!(said.contains("instance 1: interrupted"), "{said}");
}

#[test]
fn nothing_outlives_a_runner_that_is_killed() {
    if !Lab::available_or_skip("nothing_outlives_a_runner_that_is_killed") {
        return;
    }
    let plan = script_in(Plan::new(""));
    let (mut child, alive) = plan.start(2);
    kill(pid(&child), Signal::SIGKILL).unwrap();
    until_all_are_gone(alive);
    child.wait().unwrap();
}

#[test]
fn two_runs_at_once_do_not_touch_each_other() {
    if !Lab::available_or_skip("two_runs_at_once_do_not_touch_each_other") {
        return;
    }
    let hanging = script_in(Plan::new(""));
    let (child, alive) = hanging.start(2);
    let plan = Plan::new(SUCCESS);
    let output = plan.run(&["script"]);
    assert!(output.status.success(), "{}", said(&output));
    // The first goes on as if nothing had been.
    kill(pid(&child), Signal::SIGTERM).unwrap();
    until_all_are_gone(alive);
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(130));
    // Without --out the results are in a folder of the run's own.
    let runs = fs::read_dir(plan.path("testground-runs")).unwrap().count();
    assert_eq!(runs, 1);
}

#[test]
fn groups_of_a_composition_have_their_own_parameters() {
    if !Lab::available_or_skip("groups_of_a_composition_have_their_own_parameters") {
        return;
    }
    let plan = Plan::new(&format!(
        "echo $TEST_GROUP_ID $TEST_INSTANCE_PARAMS\n{SUCCESS}"
    ));
    fs::write(
        plan.path("both.toml"),
        "[global]\nplan = \"script\"\ncase = \"one\"\n\
         [[groups]]\nid = \"old\"\ninstances = { count = 1 }\n\
         [[groups]]\nid = \"new\"\ninstances = { count = 2 }\n\
         [groups.run.test_params]\ngreeting = \"hi\"\n",
    )
    .unwrap();
    let output = plan.run(&["--composition", "both.toml", "--out", "out"]);
    assert!(output.status.success(), "{}", said(&output));
    for (place, expected) in [
        ("old/0", "old greeting=hello"),
        ("new/1", "new greeting=hi"),
        ("new/2", "new greeting=hi"),
    ] {
        let log = plan.path("out/script/one").join(place).join("run.out");
        assert!(fs::read_to_string(log).unwrap().starts_with(expected));
    }
}

#[test]
fn a_bad_network_is_between_instances_and_not_before_the_sync_service() {
    if !Lab::available_or_skip("a_bad_network_is_between_instances") {
        return;
    }
    // The instances do not hear each other, the service hears both.
    let plan = Plan::new(&format!(
        r#"
        exec 3<>/dev/tcp/$SYNC_SERVICE_HOST/$SYNC_SERVICE_PORT || exit 1
        for n in 1 2 3 4 5 6 7 8; do echo $n > /dev/udp/10.77.0.1/9; echo $n > /dev/udp/10.77.0.2/9; done
        {SUCCESS}
        "#
    ));
    let output = plan.run(&[
        "script",
        "--nodes",
        "2",
        "--loss",
        "100",
        "--latency",
        "1ms 5us",
        "--seed",
        "3",
    ]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(
        said(&output).contains("--seed 3 --latency 1ms5us --loss 100 --timeout"),
        "{}",
        said(&output)
    );
    let folder = fs::read_dir(plan.path("testground-runs")).unwrap();
    let run = folder.flatten().next().unwrap().path();
    let verdict = json(&run.join("script/one/verdict.json"));
    assert_eq!(verdict["network"]["shape"]["loss"], 1.0);
    assert!(verdict["switch"]["lost"].as_u64().unwrap() > 0, "{verdict}");
    assert!(
        verdict["switch"]["delivered"].as_u64().unwrap() > 0,
        "{verdict}"
    );

    let output = plan.run(&["script", "--loss", "101"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("loss is 1.01"), "{}", said(&output));
    let output = plan.run(&["script", "--rate", "0"]);
    assert_eq!(output.status.code(), Some(2));
}

/// Functions of a shell that speaks with the sync service: `send` a request, `receive` an answer.
const WEBSOCKET: &str = r#"
exec 3<>/dev/tcp/$SYNC_SERVICE_HOST/$SYNC_SERVICE_PORT || exit 7
printf 'GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n' >&3
printf 'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n' >&3
while IFS= read -r line <&3 && [ "$line" != $'\r' ]; do :; done
send() {
  # Masked with zeros, and a length of two bytes.
  printf "\\x81\\xfe\\x$(printf %02x $((${#1} >> 8)))\\x$(printf %02x $((${#1} & 255)))\\0\\0\\0\\0%s" "$1" >&3
}
receive() { IFS= read -r -d '}' answer <&3; echo "$answer" | tr -cd '[:print:]'; }
names="run:$TEST_RUN:plan:$TEST_PLAN:case:$TEST_CASE"
"#;

#[test]
fn an_instance_shapes_its_own_network() {
    if !Lab::available_or_skip("an_instance_shapes_its_own_network") {
        return;
    }
    let plan = Plan::new(&format!(
        r#"{WEBSOCKET}
        [ $TEST_SIDECAR = true ] || exit 8
        send '{{"id":"i","barrier":{{"state":"'$names:states:network-initialized'","target":2}}}}'
        receive
        if [ $(hostname) = instance-0 ]; then
            send '{{"id":"p","publish":{{"topic":"'$names:topics:network:instance-0'","payload":{{"network":"default","enable":true,"default":{{"loss":REQUESTED}},"callback_state":"shaped"}}}}}}'
        fi
        send '{{"id":"b","barrier":{{"state":"'$names:states:shaped'","target":1}}}}'
        until receive | grep '"id":"b"'; do :; done
        for n in 1 2 3 4 5 6 7 8; do echo $n > /dev/udp/10.77.0.1/9; echo $n > /dev/udp/10.77.0.2/9; done
        {SUCCESS}
        "#
    ).replace("REQUESTED", "100"));
    let output = plan.run(&["script", "--switch", "--out", "out"]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(
        said(&output).contains(" --switch --timeout"),
        "{}",
        said(&output)
    );
    let verdict = json(&plan.path("out/script/one/verdict.json"));
    assert_eq!(verdict["shaped"], 1, "{verdict}");
    assert!(verdict["switch"]["lost"].as_u64().unwrap() > 0, "{verdict}");

    let script = fs::read_to_string(plan.path("plans/script/instance.sh")).unwrap();
    let impossible = Plan::new(&script.replace("\"loss\":100", "\"loss\":101"));
    let output = impossible.run(&["script", "--switch", "--timeout", "3s"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let expected = "instance 0 asked for a network that it cannot have: loss is 1.01";
    assert!(said(&output).contains(expected), "{}", said(&output));

    // A name that the service refuses is one more reason.
    let endless = Plan::new(&script.replace(
        "\"callback_state\":\"shaped",
        &format!("\"callback_state\":\"{}", "x".repeat(2000)),
    ));
    let output = endless.run(&["script", "--switch", "--timeout", "3s"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let expected = "instance 0 has its network, and asked for a signal that there cannot be: ";
    assert!(said(&output).contains(expected), "{}", said(&output));
}

#[test]
fn the_runner_does_faults_of_the_network_and_orders_those_of_nodes() {
    if !Lab::available_or_skip("the_runner_does_faults_of_the_network_and_orders_those_of_nodes") {
        return;
    }
    // Instance 0 obeys; the last order it says it cannot.
    let plan = Plan::new(&format!(
        r#"{WEBSOCKET}
        send '{{"id":"r","signal_entry":{{"state":"'$names:states:faults:ready'"}}}}'
        send '{{"id":"b","barrier":{{"state":"'$names:states:faults:over'","target":1}}}}'
        if [ $(hostname) = instance-0 ]; then
            send '{{"id":"n","publish":{{"topic":"'$names:topics:faults:done'","payload":{{"nonsense":1}}}}}}'
            send '{{"id":"s","subscribe":{{"topic":"'$names:topics:faults:0'"}}}}'
            for phase in begin end; do
                until receive | grep "kill.*$phase"; do :; done
                [ $phase = end ] && error=broken
                send '{{"id":"d","publish":{{"topic":"'$names:topics:faults:done'","payload":{{"fault":1,"instance":0,"phase":"'$phase'","error":"'$error'"}}}}}}'
            done
        fi
        until receive | grep '"id":"b"'; do :; done
        {SUCCESS}"#
    ));
    fs::write(
        plan.path("faults.toml"),
        "end = \"1s\"\n[[fault]]\nkind = \"partition\"\nat = \"100ms\"\nvictims = [1]\n\
         [[fault]]\nkind = \"kill\"\nat = \"200ms\"\nfor = \"100ms\"\nvictims = [0]\n",
    )
    .unwrap();
    let output = plan.run(&[
        "script",
        "--faults",
        "faults.toml",
        "--out",
        "out",
        "--timeout",
        "30s",
    ]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    for expected in [
        "faults: 1 partition, 1 kill; all have ended",
        "kill of 0, 0.2 to 0.3 s: instance 0: broken",
        "an instance's report of a fault is none",
    ] {
        assert!(said(&output).contains(expected), "{}", said(&output));
    }
    let verdict = json(&plan.path("out/script/one/verdict.json"));
    assert_eq!(verdict["reasons"].as_array().unwrap().len(), 2, "{verdict}");
    for fault in verdict["faults"].as_array().unwrap() {
        assert!(fault["began"].as_u64() < fault["ended"].as_u64(), "{fault}");
    }
    let page = fs::read_to_string(plan.path("out/script/one/report.html")).unwrap();
    assert!(page.contains("begins: partition") && page.contains("ends: kill"));
}

#[test]
fn instances_on_any_lans_reach_the_sync_service() {
    if !Lab::available_or_skip("instances_on_any_lans_reach_the_sync_service") {
        return;
    }
    let plan = Plan::new(&format!(
        r#"
        exec 3<>/dev/tcp/$(echo $SYNC_SERVICE_HOST | tr -d '[]')/$SYNC_SERVICE_PORT || exit 7
        echo $TEST_SUBNET $(ip -oneline -family inet address show scope global | awk '{{print $2, $4}}')
        ip -family inet route show default
        {SUCCESS}"#
    ));
    let manifest = plan.path("plans/script/manifest.toml");
    for (lab, expected) in [
        (
            "lans = 2",
            [
                "10.77.0.0/24 eth0 10.77.0.1/24",
                "10.77.1.0/24 eth1 10.77.1.2/24",
            ],
        ),
        (
            "interfaces = 2",
            [
                "10.77.0.0/24 eth0 10.77.0.1/24 eth1 10.77.1.1/24",
                "10.77.0.0/24 eth0 10.77.0.2/24 eth1 10.77.1.2/24",
            ],
        ),
        ("family = \"ipv6\"", ["fd77::/64", "fd77::/64"]),
    ] {
        let text = MANIFEST.replace(
            "[testcases.params]",
            &format!("lab = {{ {lab} }}\n[testcases.params]"),
        );
        fs::write(&manifest, text).unwrap();
        let out = format!("out {lab}");
        let output = plan.run(&["script", "--out", &out]);
        assert!(output.status.success(), "{}", said(&output));
        for (instance, expected) in expected.iter().enumerate() {
            let log = plan
                .path(&out)
                .join(format!("script/one/single/{instance}/run.out"));
            let log = fs::read_to_string(log).unwrap();
            let mut lines = log.lines();
            assert_eq!(lines.next().unwrap().trim_end(), *expected);
            assert!(!log.contains("default"), "{log}");
        }
        if lab == "lans = 2" {
            let output = plan.run(&["script", "--latency", "5ms"]);
            assert_eq!(output.status.code(), Some(2), "{}", said(&output));
            assert!(
                said(&output).contains("`one` has 2 LANs"),
                "{}",
                said(&output)
            );
        }
    }
}

#[test]
fn faults_that_never_begin_are_no_proof_and_are_shown() {
    if !Lab::available_or_skip("faults_that_never_begin_are_no_proof_and_are_shown") {
        return;
    }
    let plan = Plan::new(&format!("echo $HEDGEROW_FAULTS > faults\n{SUCCESS}"));
    fs::write(
        plan.path("faults.toml"),
        "end = \"9s\"\n[[fault]]\nkind = \"partition\"\nat = \"1s\"\nvictims = [1]\n",
    )
    .unwrap();
    let output = plan.run(&["script", "--faults", "faults.toml", "--out", "out"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    for expected in [
        "none of 1 faults began",
        "faults: 1 partition; 0 have ended",
        "--faults faults.toml",
    ] {
        assert!(said(&output).contains(expected), "{}", said(&output));
    }
    let case = plan.path("out/script/one");
    let told = fs::read_to_string(case.join("single/0/faults")).unwrap();
    assert_eq!(told, "1\n");
    let verdict = json(&case.join("verdict.json"));
    assert_eq!(verdict["faults"][0]["kind"], "partition");
    assert_eq!(verdict["faults"][0]["victims"], serde_json::json!([1]));
    // Where the network is to have faults there is a switch.
    assert!(verdict["switch"].is_object(), "{verdict}");
}

#[test]
fn what_is_not_there_is_refused_with_the_nearest_name_before_anything_starts() {
    let plan = Plan::new(SUCCESS);
    let bad = "end = \"9s\"\n[[fault]]\nat = \"1s\"\nvictims = [2]\nkind = \"kill\"\n";
    fs::write(plan.path("bad.toml"), bad).unwrap();
    for (args, expected) in [
        (&["scirpt"][..], "no plan `scirpt`; did you mean `script`?"),
        (&["script", "oen"], "did you mean `one`?"),
        (
            &["script", "--set", "greting=x"],
            "did you mean `greeting`?",
        ),
        (
            &["script", "--set", "greeting=a|b"],
            "`|` cannot be encoded in its value",
        ),
        (&["script", "--set", "greeting"], "it is NAME=VALUE"),
        (
            &["script", "--nodes", "300"],
            "300 instances; `one` has 1 to 250",
        ),
        (&["script", "--nodes", "250"], "nodes for 249"),
        (
            &["script", "--timeout", "0s"],
            "--timeout is from above 0 to 24h",
        ),
        (
            &["all", "--nodes", "2"],
            "`run all` runs each case as its manifest has it",
        ),
        (&["script", "--plans", "nowhere"], "no plans at nowhere"),
        (
            &["script", "--faults", "bad.toml"],
            "bad.toml:4: no instance 2; there are 0 to 1",
        ),
        (
            &["script", "--faults", "none.toml"],
            "cannot read none.toml",
        ),
    ] {
        let output = plan.run(args);
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        assert!(said(&output).contains(expected), "{}", said(&output));
    }
    assert!(!plan.path("testground-runs").exists());
    let list = Command::new(env!("CARGO_BIN_EXE_testground"))
        .args(["list", "--plans"])
        .arg(plan.path("plans"))
        .output()
        .unwrap();
    assert_eq!(
        said(&list),
        "script one  2 instances (1 to 250)\n    greeting=hello  \n"
    );
}

/// The plan with instances that hang, writing to a pipe beside it.
fn script_in(plan: Plan) -> Plan {
    let program = plan.path("plans/script/instance.sh");
    let script = format!("#!/bin/bash\n{}\n", hanging(plan.folder.path()));
    fs::write(program, script).unwrap();
    plan
}

fn pid(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).unwrap())
}
