//! What is particular about each.

use super::*;

#[track_caller]
fn becomes(format: &dyn Format, old: &str, force: bool, new: &str) {
    let found = changed(format, old, force);
    assert_eq!(found, new);
    comes_back(format, &found, old);
}

/// That nothing is done, even by force.
#[track_caller]
fn is_left(format: &dyn Format, text: &str) {
    let refusal = set(format, text, true).unwrap_err();
    assert!(matches!(refusal, Refusal::Involved(_)), "{refusal:?}");
}

#[test]
fn pip_is_set_in_the_section_that_is_there_as_far_in_as_its_neighbours() {
    becomes(
        &Pip,
        "[global]\n    timeout = 60\n",
        false,
        "[global]\n    # hedgerow cache setup: begin\n    \
         index-url = http://127.0.0.1:3128/https/pypi.org/simple/\n    \
         # hedgerow cache setup: end\n    timeout = 60\n",
    );
    // A header that is farther in than our value would be more of it.
    becomes(
        &Pip,
        "[global]\n\n  [install]\n",
        false,
        "[global]\n  # hedgerow cache setup: begin\n  \
         index-url = http://127.0.0.1:3128/https/pypi.org/simple/\n  \
         # hedgerow cache setup: end\n\n  [install]\n",
    );
}

#[test]
fn pip_values_of_several_lines_and_of_commands_are_other_values() {
    let several = "[global]\nindex-url =\n    https://a.example\n\n    # why\n  https://b.example\nretries=1\n";
    let forced = changed(&Pip, several, true);
    assert!(forced.contains("# hedgerow cache setup, was:   https://b.example\n"));
    comes_back(&Pip, &forced, several);
    let command = "[install]\nindex-url = https://a.example\n";
    assert_eq!(
        line_of(command, &set(&Pip, command, false).unwrap_err()),
        (2, "https://a.example".to_owned())
    );
    changed(&Pip, command, true);
    // Ours for one command is not ours for all.
    let ours = "[install]\nindex-url = http://127.0.0.1:3128/https/pypi.org/simple/\n";
    changed(&Pip, ours, false);
}

#[test]
fn npm_reads_quotes_comments_and_sections() {
    for same in [
        "registry=http://127.0.0.1:3128/https/registry.npmjs.org/\n",
        "\"registry\" = \"http://127.0.0.1:3128/https/registry.npmjs.org/\"",
        "registry = http://127.0.0.1:3128/https/registry.npmjs.org/ ; ours\r\n",
    ] {
        assert_eq!(set(&Npm, same, false), Ok(None), "{same}");
    }
    for unset in [
        "#registry=https://npm.example/\n",
        "; registry=https://npm.example/\n",
        "[a]\nregistry=https://npm.example/\n",
    ] {
        changed(&Npm, unset, false);
    }
    for other in [
        "registry\n",
        "registry[]=https://npm.example/\n",
        " [a]\nregistry=https://npm.example/\n",
    ] {
        assert!(set(&Npm, other, false).is_err(), "{other}");
        let new = changed(&Npm, other, true);
        comes_back(&Npm, &new, other);
    }
    let own = changed(&Npm, "omit-lockfile-registry-resolved=false\n", false);
    assert!(
        !own.contains("omit-lockfile-registry-resolved=true"),
        "{own}"
    );
}

#[test]
fn go_gets_no_carriage_return_into_its_value() {
    let new = changed(&Go, "GOFLAGS=-x\r\n", false);
    assert!(
        new.contains("proxy.golang.org|https://proxy.golang.org,direct\n"),
        "{new}"
    );
    changed(&Go, " GOPROXY=off\n#GOPROXY=off\n", false);
}

#[test]
fn apt_keys_are_found_in_every_spelling() {
    let scoped = "Acquire { HTTP { Proxy \"http://p.example\"; }; };\n";
    let spelt = "Acquire {\n  http {\n    Proxy \"http://p.example\";\n  };\n};\n";
    for text in [scoped, spelt, "Acquire::http { Proxy http://p.example; }\n"] {
        // Unquoted, `//` begins a comment.
        let refusal = set(&Apt, text, false).unwrap_err();
        assert!(
            matches!(refusal, Refusal::Other(_) | Refusal::Unreadable(_)),
            "{text}: {refusal:?}"
        );
    }
    is_left(&Apt, scoped);
    is_left(
        &Apt,
        "Acquire::http {\nProxy \"http://p.example\" {\n};\n};\n",
    );
    let new = changed(&Apt, spelt, true);
    comes_back(&Apt, &new, spelt);
    for unset in [
        "// Acquire::http::Proxy \"http://p.example\";\n",
        "/* Acquire::http::Proxy \"http://p.example\"; */\n",
        "Acquire::http::Proxy::mirror.example \"DIRECT\";\n",
        "Acquire::https::Proxy \"http://p.example\";\n",
    ] {
        changed(&Apt, unset, false);
    }
}

#[test]
fn cargo_uses_the_table_that_is_there() {
    let block = |lines: &str| {
        format!("# hedgerow cache setup: begin\n{lines}\n# hedgerow cache setup: end")
    };
    let replace = block("replace-with = \"hedgerow\"");
    let source = block(
        "[source.hedgerow]\nregistry = \"sparse+http://127.0.0.1:3128/https/index.crates.io/\"",
    );
    // Without a line end behind it, too.
    becomes(
        &Cargo,
        "[source.crates-io]",
        false,
        &format!("[source.crates-io]\n{replace}\n{source}"),
    );
    becomes(
        &Cargo,
        "[ source . crates-io ] # here\nregistry = \"x\"\n",
        false,
        &format!("[ source . crates-io ] # here\n{replace}\nregistry = \"x\"\n{source}\n"),
    );
    let dotted = "source.crates-io.replace-with = \"x\"\nsource.x.directory = \"y\"\n";
    let (line, value) = line_of(dotted, &set(&Cargo, dotted, false).unwrap_err());
    assert_eq!((line, value.as_str()), (1, "x"));
}

#[test]
fn cargo_tables_in_one_line_are_left_to_people() {
    for text in [
        "source = { crates-io = { replace-with = \"x\" }, x = { directory = \"y\" } }\n",
        "[source]\ncrates-io = { replace-with = \"x\" }\n",
        "source = {}\n",
        "[source]\ncrates-io.registry = \"x\"\n",
    ] {
        is_left(&Cargo, text);
    }
}

#[test]
fn maven_asks_the_mirror_that_names_central_alone_or_else_the_first_that_has_it() {
    let with = |of: &str| {
        format!(
            "<settings><mirrors>\n<mirror><url>https://m.example</url><mirrorOf>{of}</mirrorOf></mirror></mirrors></settings>"
        )
    };
    for of in ["central", "*", "external:*", "a, central", "*,!other"] {
        let text = with(of);
        let refusal = set(&Maven, &text, false).unwrap_err();
        assert_eq!(
            line_of(&text, &refusal),
            (2, "https://m.example".to_owned())
        );
        let new = changed(&Maven, &text, true);
        comes_back(&Maven, &new, &text);
    }
    for of in ["other", "external:http:*", "*,!central", "!central,*"] {
        changed(&Maven, &with(of), false);
    }
}

#[test]
fn maven_settings_are_cut_where_they_may_be() {
    let url = "http://127.0.0.1:3128/https/repo.maven.apache.org/maven2";
    let mirror = format!(
        "    <mirror>\n      <id>hedgerow</id>\n      <url>{url}</url>\n      \
         <mirrorOf>central</mirrorOf>\n    </mirror>\n"
    );
    let (begin, end) = (
        "\n  <!-- hedgerow cache setup: begin -->\n",
        "  <!-- hedgerow cache setup: end -->",
    );
    becomes(
        &Maven,
        "<settings><mirrors/></settings>",
        false,
        &format!(
            "<settings>{begin}  <mirrors>\n{mirror}  </mirrors>\n{end}\
             <!-- hedgerow cache setup, was: <mirrors/> --></settings>"
        ),
    );
    becomes(
        &Maven,
        "<settings><mirrors></mirrors></settings>",
        false,
        &format!("<settings><mirrors>{begin}{mirror}{end}</mirrors></settings>"),
    );
    for text in [
        "",
        "<settings/>",
        "<project></project>",
        "text",
        "<settings>",
    ] {
        let refusal = set(&Maven, text, true).unwrap_err();
        assert!(
            matches!(refusal, Refusal::Unreadable(_)),
            "{text}: {refusal:?}"
        );
    }
}

#[test]
fn containerd_asks_the_cache_before_other_hosts() {
    let new = changed(&Containerd, CASES[6].unset, false);
    let ours = new.find("127.0.0.1:3128").unwrap();
    assert!(ours < new.find("https://mirror.example").unwrap(), "{new}");
    // In a file of its own it says which registry it is for.
    let own = edit::set(&Containerd, None, PORT, false).unwrap().unwrap();
    assert!(own.contains("server = \"https://registry-1.docker.io\"\n"));
    assert!(own.contains("override_path = true\n"));
    is_left(&Containerd, "host = {}\n");
}
