//! Who gets in, and how a node ends.

use std::{fs, time::Duration};

use lab::Lab;

use crate::{
    net::Net,
    support::{HEDGEROW, stderr},
};

#[test]
fn the_doors_are_guarded_and_the_stop_is_clean() {
    if !Lab::available_or_skip("the_doors_are_guarded_and_the_stop_is_clean") {
        return;
    }
    let net = Net::start(Lab::builder().nodes(1));
    let lab = &net.lab;
    let token = fs::read_to_string(lab.home(0).join("api.token")).unwrap();
    let token = token.trim();
    let status = |headers: &str| {
        let request =
            format!("GET /api/v1/node HTTP/1.1\\r\\nConnection: close\\r\\n{headers}\\r\\n\\r\\n");
        let script =
            format!("exec 3<>/dev/tcp/127.0.0.1/4748; printf '{request}' >&3; head -1 <&3");
        let output = lab.output(0, "bash", ["-c", &script]).unwrap();
        String::from_utf8_lossy(&output.stdout)
            .split(' ')
            .nth(1)
            .unwrap_or_default()
            .to_owned()
    };
    let host = "Host: 127.0.0.1:4748";
    let bearer = format!("Authorization: Bearer {token}");
    assert_eq!(status(&format!("{host}\\r\\n{bearer}")), "200");
    assert_eq!(status(host), "401");
    assert_eq!(
        status(&format!("{host}\\r\\nAuthorization: Bearer wrong")),
        "401"
    );
    assert_eq!(status(&format!("Host: evil.example\\r\\n{bearer}")), "403");
    assert_eq!(
        status(&format!(
            "{host}\\r\\n{bearer}\\r\\nOrigin: http://evil.example"
        )),
        "403"
    );

    // Who waits to send a body, and is refused, sends its next request at once: not the body.
    let refused = format!(
        "PUT /api/v1/blocks HTTP/1.1\\r\\n{host}\\r\\nContent-Length: 4\\r\\nExpect: 100-continue\\r\\n\\r\\n"
    );
    let next = format!("GET /api/v1/node HTTP/1.1\\r\\n{host}\\r\\n{bearer}\\r\\n\\r\\n");
    // In one piece: what comes when the connection is closed already would break it.
    let script = format!(
        "text=$(printf '{refused}{next}x'); exec 3<>/dev/tcp/127.0.0.1/4748; \
         cat <<< \"${{text%x}}\" >&3; cat <&3"
    );
    let output = lab.output(0, "bash", ["-c", &script]).unwrap();
    let said = String::from_utf8_lossy(&output.stdout).to_lowercase();
    assert!(said.starts_with("http/1.1 401"), "{said}");
    assert!(said.contains("\r\nconnection: close\r\n"), "{said}");
    assert_eq!(said.matches("http/1.1 ").count(), 1, "{said}");

    // A second node in the same home, and one on the same ports.
    let home = lab.home(0).to_str().unwrap();
    let second = lab
        .output(0, HEDGEROW, ["--home", home, "node", "start"])
        .unwrap();
    assert_eq!(second.status.code(), Some(6), "{}", stderr(&second));
    let other = tempfile::tempdir().unwrap();
    let other = other.path().to_str().unwrap();
    let second = lab
        .output(0, HEDGEROW, ["--home", other, "node", "start"])
        .unwrap();
    assert_eq!(second.status.code(), Some(6), "{}", stderr(&second));
    assert!(stderr(&second).contains("4747") && stderr(&second).contains("--listen-port"));

    net.ok(0, &["node", "stop"]);
    let patience = Duration::from_secs(30);
    assert!(
        lab.process(0)
            .unwrap()
            .wait_exit(patience)
            .unwrap()
            .success()
    );
    assert!(!lab.home(0).join("api.sock").exists());
    assert_eq!(net.run(0, &["peers", "ls"]).status.code(), Some(3));

    // SIGTERM ends it as cleanly, and the identity is the same.
    lab.start(0).unwrap();
    lab.wait_ready(0, patience).unwrap();
    assert!(lab.stop(0).unwrap().success());
    assert!(!lab.home(0).join("api.sock").exists());
}
