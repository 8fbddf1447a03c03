//! What holds for every format.

use super::*;

#[test]
fn what_was_set_comes_back_to_the_byte() {
    for case in CASES {
        for old in shapes(case.unset) {
            let new = changed(case.format, &old, false);
            // Nothing of the file is gone, in the order that it was in.
            let mut rest = new.as_str();
            for line in old.lines() {
                let at = rest.find(line);
                let at = at.unwrap_or_else(|| panic!("{}: {line} is gone: {new}", case.name));
                rest = &rest[at..];
            }
            comes_back(case.format, &new, &old);
        }
    }
}

#[test]
fn another_value_is_left_alone_unless_forced_and_comes_back() {
    for case in CASES {
        let Some(other) = case.other else { continue };
        for old in shapes(other) {
            let refusal = set(case.format, &old, false).unwrap_err();
            let (line, value) = line_of(&old, &refusal);
            let shown = old.lines().nth(line - 1).unwrap();
            assert!(shown.contains(&value), "{}: {line}: {value}", case.name);
            assert!(value.contains("example") || value == "vendored", "{value}");
            let new = changed(case.format, &old, true);
            comes_back(case.format, &new, &old);
        }
    }
}

#[test]
fn another_port_takes_the_place_of_the_first() {
    for case in CASES {
        for old in [Some(case.unset), case.other].into_iter().flatten() {
            let first = changed(case.format, old, true);
            let second = edit::set(case.format, Some(&first), 4000, false);
            let second = second.unwrap().unwrap();
            assert!(second.contains(":4000") && !second.contains(":3128"));
            comes_back(case.format, &second, old);
        }
    }
}

#[test]
fn another_port_does_not_hide_a_value_that_came_since() {
    let first = changed(&Pip, CASES[0].other.unwrap(), true);
    let more = format!("{first}[install]\nindex-url = https://since.example\n");
    let refusal = edit::set(&Pip, Some(&more), 4000, false).unwrap_err();
    assert_eq!(line_of(&more, &refusal).1, "https://since.example");
}

#[test]
fn a_file_that_was_made_for_it_goes_with_it() {
    for case in CASES {
        let new = edit::set(case.format, None, PORT, false).unwrap().unwrap();
        assert_eq!(set(case.format, &new, false), Ok(None));
        assert_eq!(
            edit::unset(case.format, &new, false),
            Ok(Left::Nothing),
            "{}",
            case.name
        );
        // Also after another port was set in it.
        let other = edit::set(case.format, Some(&new), 4000, false);
        let other = other.unwrap().unwrap();
        assert_eq!(edit::unset(case.format, &other, false), Ok(Left::Nothing));
    }
}

#[test]
fn what_people_add_to_such_a_file_stays() {
    for case in CASES {
        let new = edit::set(case.format, None, PORT, false).unwrap().unwrap();
        let (before, added) = match case.name {
            "maven" => ("</settings>\n", "<offline/></settings>\n"),
            _ => ("", "# mine\n"),
        };
        let more = format!("{}{added}", new.strip_suffix(before).unwrap());
        let left = edit::unset(case.format, &more, false);
        let Ok(Left::Text(left)) = left else {
            panic!("{}: {left:?}", case.name)
        };
        assert!(left.ends_with(added) && !left.contains("127.0.0.1"));
    }
}

#[test]
fn an_empty_file_stays_an_empty_file() {
    for case in CASES.iter().filter(|case| case.name != "maven") {
        let new = changed(case.format, "", false);
        comes_back(case.format, &new, "");
    }
}

#[test]
fn a_block_that_was_changed_is_not_thrown_away() {
    for case in CASES {
        let new = changed(case.format, case.unset, false);
        let edited = new.replace("127.0.0.1:3128", "cache.example:3128");
        let refusal = edit::unset(case.format, &edited, false).unwrap_err();
        let Refusal::Changed(at) = refusal else {
            panic!("{}: {refusal:?}", case.name)
        };
        assert!(
            edited[at..]
                .lines()
                .next()
                .unwrap()
                .contains("cache.example")
        );
        assert!(set(case.format, &edited, false).is_err());
        let forced = edit::unset(case.format, &edited, true);
        assert_eq!(forced, Ok(Left::Text(case.unset.to_owned())));
    }
}

#[test]
fn comments_that_are_torn_are_not_guessed_at() {
    for case in CASES {
        let new = changed(case.format, case.unset, false);
        let end = case.format.comment().end();
        let torn = new.replacen(&end, "", 1);
        let refusal = edit::unset(case.format, &torn, true).unwrap_err();
        assert!(matches!(refusal, Refusal::Changed(_)), "{refusal:?}");
        let doubled = new.replacen(&end, &format!("{end}\n{end}"), 1);
        assert!(edit::unset(case.format, &doubled, true).is_err());
    }
}

#[test]
fn what_lost_its_comments_is_removed_only_by_force() {
    for case in CASES {
        let new = changed(case.format, case.unset, false);
        let comment = case.format.comment();
        let bare = new
            .replace(&comment.begin(false), "")
            .replace(&comment.end(), "");
        assert_eq!(set(case.format, &bare, false), Ok(None));
        let refusal = edit::unset(case.format, &bare, false).unwrap_err();
        assert!(matches!(refusal, Refusal::Unmarked(_)), "{refusal:?}");
        let forced = edit::unset(case.format, &bare, true);
        match case.format.is_one_line() {
            true => assert!(
                matches!(&forced, Ok(Left::Text(text)) if !text.contains("127.0.0.1")),
                "{forced:?}"
            ),
            false => assert!(matches!(forced, Err(Refusal::Involved(_))), "{forced:?}"),
        }
    }
}

#[test]
fn what_cannot_be_read_is_not_changed() {
    for case in CASES {
        let Some(text) = case.unreadable else {
            continue;
        };
        let refusal = set(case.format, text, true).unwrap_err();
        assert!(
            matches!(refusal, Refusal::Unreadable(_)),
            "{}: {refusal:?}",
            case.name
        );
    }
}

#[test]
fn where_nothing_is_nothing_is_taken_back() {
    for case in CASES {
        for text in [Some(case.unset), case.other].into_iter().flatten() {
            assert_eq!(edit::unset(case.format, text, true), Ok(Left::Same));
        }
    }
}
