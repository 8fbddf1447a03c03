//! The walks of the guide, run as they are written there.

use crate::{
    net::Net,
    support::{HEDGEROW, stderr},
};

/// A page's shell blocks with this info string, joined.
fn blocks(page: &str, info: &str) -> String {
    let mut script = String::new();
    let mut inside = false;
    for line in page.lines() {
        if line.starts_with("```") {
            inside = !inside && line == format!("```{info}");
        } else if inside {
            script.push_str(line);
            script.push('\n');
        }
    }
    assert!(!script.is_empty(), "no block is marked {info}");
    script
}

impl Net {
    /// Types the blocks of a page at a node, all of which have to succeed; what they print has
    /// to contain all that is `said`.
    pub(crate) fn walk(&self, node: usize, page: &str, info: &str, said: &[&str]) {
        let home = self.lab.home(node);
        let script = format!(
            "set -eux\nhedgerow() {{ {HEDGEROW} \"$@\"; }}\ncd {}\n{}",
            home.display(),
            blocks(page, info)
        );
        let output = self
            .lab
            .command(node, "bash")
            .unwrap()
            .args(["-c", &script])
            .env("HEDGEROW_HOME", home)
            .output()
            .unwrap();
        let out = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{out}\n{}", stderr(&output));
        for said in said {
            assert!(out.contains(said), "{said:?} is missing in {out}");
        }
    }
}
