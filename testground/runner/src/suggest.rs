//! The name that was probably meant.

/// Of `known`, the name nearest to `name`, if one is near enough to have been meant: at
/// most two edits away, or a third of the letters.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let bound = (name.chars().count() / 3).max(2);
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= bound)
        .min()
        .map(|(_, candidate)| candidate)
}

/// "no plan `x`", with the nearest name, or else all of them.
pub fn unknown<'a>(what: &str, name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    match nearest(name, known.iter().copied()) {
        Some(meant) => format!("no {what} `{name}`; did you mean `{meant}`?"),
        None if known.is_empty() => format!("no {what} `{name}`; there is none"),
        None => format!("no {what} `{name}`; there are: {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_named_and_a_far_one_is_not() {
        let known = ["discovery", "rolling-restart", "kill-third"];
        assert_eq!(nearest("discovrey", known), Some("discovery"));
        assert_eq!(nearest("kill-tird", known), Some("kill-third"));
        assert_eq!(nearest("bandwidth", known), None);
        assert_eq!(
            unknown("plan", "bandwidth", known),
            "no plan `bandwidth`; there are: discovery, rolling-restart, kill-third"
        );
        assert_eq!(
            unknown("parameter", "seed", []),
            "no parameter `seed`; there is none"
        );
    }
}
