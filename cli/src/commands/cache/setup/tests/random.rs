//! Any file at all: what is set comes back to the byte, or nothing is set.

use proptest::prelude::*;

use super::{super::marks::Marks, *};

/// Pieces that the formats are made of, and what is near to our own.
const PIECES: &[&str] = &[
    "[global]",
    "[install]",
    "  [global]",
    "index-url = https://a.example",
    "index_url:b",
    "    more",
    "timeout = 60",
    "; comment",
    "# comment",
    "registry=https://a.example",
    "registry",
    "[section]",
    "GOPROXY=off",
    "GOFLAGS=-x",
    "[source.crates-io]",
    "replace-with = \"x\"",
    "[source.x]",
    "[source]",
    "key = \"value\"",
    "directory = 'd'",
    "[host.\"https://a.example\"]",
    "server = \"https://b.example\"",
    "[host]",
    "a.b = 1",
    "text = \"\"\"",
    "\"\"\"",
    "Acquire::http::Proxy \"http://a.example\";",
    "Acquire {",
    "};",
    "http {",
    "Proxy \"x\";",
    "/*",
    "*/",
    "// comment",
    "<settings>",
    "</settings>",
    "<mirrors>",
    "</mirrors>",
    "<mirrors/>",
    "<mirror>",
    "</mirror>",
    "<mirrorOf>*</mirrorOf>",
    "<mirrorOf>central</mirrorOf>",
    "<url>https://a.example</url>",
    "<!-- comment -->",
    "<?xml version=\"1.0\"?>",
    "\"",
    "é",
    "# hedgerow cache setup: begin",
    "# hedgerow cache setup: end",
    "<!-- hedgerow cache setup: end -->",
    "# hedgerow cache setup, was: x",
];

fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        8 => proptest::sample::select(PIECES).prop_map(str::to_owned),
        1 => "[ -~]{0,12}",
    ];
    let end = proptest::sample::select(&["\n", "\n", "\n", "\r\n", "\r", "", "\n\n"][..]);
    let line = (piece, end).prop_map(|(piece, end)| piece + end);
    proptest::collection::vec(line, 0..12).prop_map(|lines| lines.concat())
}

/// Files that each format takes, by the index of its case.
fn valid(case: usize) -> BoxedStrategy<String> {
    let lines: &'static [&'static str] = match case {
        0 => &[
            "[a]\n",
            "[b]\nx = 1\n",
            "[c]\n  y: 2\n  z = 3\n",
            "# c\n",
            "\n",
            "[global]\nx = 1\n",
        ],
        1 => &[
            "a=b\n",
            "; c\n",
            "# c\r\n",
            "@x:registry=https://a.example\n",
            "flag\n",
            "[s]\n",
        ],
        2 => &[
            "# c\n",
            "[net]\nretry = 1\n",
            "\n",
            "[source.crates-io]\nx = 'y'\n",
            "[[a]]\nb = 1\n",
        ],
        3 => &["A=b\n", "# c\n", "junk\n", "\n", "GOPROXY=off\n"],
        4 => &[
            "A \"b\";\n",
            "// c\n",
            "/* c */\n",
            "A { B \"c\"; };\n",
            "Acquire::http::Proxy \"x\";\n",
        ],
        5 => &["<a/>\n", "<!-- c -->", "  <b>c</b>\r\n", "\n"],
        _ => &[
            "# c\n",
            "\n",
            "[host.\"https://a.example\"]\nca = 'x'\n",
            "[x]\n",
        ],
    };
    let chosen = proptest::sample::subsequence(lines, 0..=lines.len()).prop_shuffle();
    (chosen, any::<bool>())
        .prop_map(move |(lines, is_ended)| {
            let text = lines.concat();
            let text = match is_ended {
                true => text,
                false => text.trim_end_matches(['\r', '\n']).to_owned(),
            };
            match case {
                5 => format!("<settings>{text}</settings>"),
                _ => text,
            }
        })
        .boxed()
}

fn valid_of_any() -> impl Strategy<Value = (usize, String)> {
    (0..CASES.len()).prop_flat_map(|case| valid(case).prop_map(move |text| (case, text)))
}

proptest! {
    #[test]
    fn what_is_set_in_any_text_comes_back(case in 0..CASES.len(), old in text(), force: bool) {
        let format = CASES[case].format;
        if let Ok(Some(new)) = set(format, &old, force) {
            prop_assert_eq!(edit::state(format, &new, PORT), Ok(State::Set));
            prop_assert_eq!(set(format, &new, false), Ok(None));
            // What was there of ours before is taken back with it.
            let marks = Marks::of(format.comment(), &old).expect("it could be set");
            let clean = marks.take_back(&old);
            prop_assert_eq!(edit::unset(format, &new, false), Ok(Left::Text(clean)));
        }
    }

    #[test]
    fn every_sound_file_can_be_set((case, old) in valid_of_any()) {
        let format = CASES[case].format;
        let new = set(format, &old, true);
        let Ok(Some(new)) = new else {
            panic!("{}: {new:?}: {old}", CASES[case].name)
        };
        prop_assert_eq!(set(format, &new, false), Ok(None));
        prop_assert_eq!(edit::unset(format, &new, false), Ok(Left::Text(old)));
    }
}
