//! Parameters of an instance: their types, and how they travel in its environment.

use std::collections::BTreeMap;

use serde::Deserialize;

/// Name to value, as text.
pub type Params = BTreeMap<String, String>;

/// What a parameter's value has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A whole number of 64 bits.
    Int,
    /// A number.
    Float,
    /// `true` or `false`.
    Bool,
    /// Any text.
    String,
    /// A length of time, as in `30s` or `2m`.
    Duration,
    /// Any JSON value.
    Json,
}

impl Kind {
    /// Whether `value` is one of this kind; else what is wrong with it.
    pub fn check(self, value: &str) -> Result<(), String> {
        let fits = match self {
            Kind::Int => value.parse::<i64>().is_ok(),
            Kind::Float => value.parse::<f64>().is_ok_and(f64::is_finite),
            Kind::Bool => matches!(value, "true" | "false"),
            Kind::String => true,
            Kind::Duration => humantime::parse_duration(value).is_ok(),
            Kind::Json => serde_json::from_str::<serde_json::Value>(value).is_ok(),
        };
        let what = match self {
            Kind::Int => "a whole number",
            Kind::Float => "a number",
            Kind::Bool => "`true` or `false`",
            Kind::String => "text",
            Kind::Duration => "a length of time as in `30s`",
            Kind::Json => "JSON",
        };
        if fits {
            Ok(())
        } else {
            Err(format!("`{value}` is not {what}"))
        }
    }
}

/// The length of time that a parameter of [`Kind::Duration`] says.
pub fn duration(value: &str) -> Result<std::time::Duration, String> {
    humantime::parse_duration(value).map_err(|error| format!("`{value}`: {error}"))
}

/// A parameter cannot be written into `TEST_INSTANCE_PARAMS`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParamError {
    /// The encoding has no escapes: these characters separate.
    #[error("parameter `{name}`: `{character}` cannot be encoded in its {part}")]
    Character {
        /// The parameter.
        name: String,
        /// What stands in the way.
        character: char,
        /// `name` or `value`.
        part: &'static str,
    },
    /// A parameter without a name.
    #[error("a parameter without a name")]
    Nameless,
    /// Text that is no list of parameters.
    #[error("`{0}` is no NAME=VALUE")]
    Malformed(String),
    /// A name twice.
    #[error("parameter `{0}` is there twice")]
    Twice(String),
}

/// `a=1|b=2`, as `TEST_INSTANCE_PARAMS` has it. Testground's SDKs drop what they cannot
/// split, without a word; here it is refused before anything starts.
pub fn encode(params: &Params) -> Result<String, ParamError> {
    let mut parts = Vec::with_capacity(params.len());
    for (name, value) in params {
        if name.is_empty() {
            return Err(ParamError::Nameless);
        }
        for (part, text) in [("name", name), ("value", value)] {
            let bad = text.chars().find(|c| matches!(c, '=' | '|' | '\0' | '\n'));
            if let Some(character) = bad {
                return Err(ParamError::Character {
                    name: name.clone(),
                    character,
                    part,
                });
            }
        }
        parts.push(format!("{name}={value}"));
    }
    Ok(parts.join("|"))
}

/// The inverse of [`encode`]; no text is no parameters.
pub fn decode(text: &str) -> Result<Params, ParamError> {
    let mut params = Params::new();
    if text.is_empty() {
        return Ok(params);
    }
    for part in text.split('|') {
        let (name, value) = part
            .split_once('=')
            .filter(|(name, value)| !name.is_empty() && !value.contains('='))
            .ok_or_else(|| ParamError::Malformed(part.to_owned()))?;
        if params.insert(name.to_owned(), value.to_owned()).is_some() {
            return Err(ParamError::Twice(name.to_owned()));
        }
    }
    Ok(params)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_cannot_be_encoded_is_refused() {
        for (name, value, refused) in [
            ("a", "1|2", true),
            ("a", "x=y", true),
            ("a=b", "1", true),
            ("a", "two\nlines", true),
            ("", "1", true),
            ("a", "", false),
            ("a", "two words, ünïcode", false),
        ] {
            let params = Params::from([(name.to_owned(), value.to_owned())]);
            assert_eq!(encode(&params).is_err(), refused, "{name:?} {value:?}");
        }
        assert_eq!(decode("a=1|a=2"), Err(ParamError::Twice("a".to_owned())));
        assert!(decode("a=1=2").is_err() && decode("a").is_err() && decode("a=1|").is_err());
        assert_eq!(decode(""), Ok(Params::new()));
    }

    #[test]
    fn values_are_of_their_kind() {
        for (kind, good, bad) in [
            (Kind::Int, "-3", "3.5"),
            (Kind::Float, "3.5", "NaN"),
            (Kind::Bool, "true", "yes"),
            (Kind::Duration, "30s", "thirty"),
            (Kind::Json, "[1]", "[1"),
        ] {
            assert_eq!(kind.check(good), Ok(()));
            assert!(kind.check(bad).is_err(), "{kind:?} {bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_read_back(
            params in prop::collection::btree_map("[^=|\0\n]{1,8}", "[^=|\0\n]{0,8}", 0..5)
        ) {
            prop_assert_eq!(decode(&encode(&params).unwrap()).unwrap(), params);
        }

        #[test]
        fn no_text_makes_the_decoder_panic(text in ".*") {
            if let Ok(params) = decode(&text)
                && let Ok(again) = encode(&params)
            {
                prop_assert_eq!(decode(&again), Ok(params));
            }
        }
    }
}
