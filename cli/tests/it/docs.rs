//! Every command that the documentation shows is one the program understands.

use std::{fs, path::Path};

/// Markdown files of the project that speak to people.
fn pages() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut pages = vec![root.join("README.md")];
    let mut folders = vec![root.join("docs")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                pages.push(path);
            }
        }
    }
    pages
        .into_iter()
        .map(|path| {
            (
                path.display().to_string(),
                fs::read_to_string(path).unwrap(),
            )
        })
        .collect()
}

/// The lines of a page's shell blocks that start the program `hedgerow`, also inside
/// `$(...)`, in words.
fn commands(page: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut shell = false;
    for line in page.lines() {
        if let Some(info) = line.strip_prefix("```") {
            shell = !shell && (info.is_empty() || info.starts_with("sh"));
            continue;
        }
        let Some(start) = line.find("hedgerow ").filter(|_| shell) else {
            continue;
        };
        // Only where the program's name begins a command.
        let before = line[..start].trim_end();
        if !(before.is_empty() || before.ends_with('(') || before.ends_with('/')) {
            continue;
        }
        let line = line[start..]
            .split([')', '|', '>', '&', '#'])
            .next()
            .unwrap();
        found.push(
            line.replace(['"', '\''], "")
                .split_whitespace()
                .map(str::to_owned)
                .collect(),
        );
    }
    found
}

#[test]
fn every_command_shown_is_understood() {
    let mut seen = 0;
    for (path, page) in pages() {
        for mut words in commands(&page) {
            // A value in quotes has become several words: the first stands for all.
            if let Some(at) = words.iter().position(|word| word == "tea") {
                words.truncate(at + 1);
            }
            // What stands for a value is replaced by one that is well formed.
            let words = words.iter().map(|word| match word.as_str() {
                "KEY" | "PEER" | "REF" | "PATH" | "VALUE" | "ADDRESS" | "DIR" => "x",
                word => word,
            });
            let line: Vec<_> = words.collect();
            if let Err(error) = cli::command().try_get_matches_from(&line) {
                panic!("{path}: {}\n{error}", line.join(" "));
            }
            seen += 1;
        }
    }
    assert!(seen > 10, "only {seen} commands were found");
}
