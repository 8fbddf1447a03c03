//! How a command ends.

use std::fmt;

use node::api::types;

/// Exit codes of `hedgerow`; success is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Code {
    /// Something went wrong that trying again will not mend by itself.
    Error = 1,
    /// The command was not understood.
    Usage = 2,
    /// No node is running in this home.
    NotRunning = 3,
    /// What was asked for does not exist, as far as those who were asked know.
    NotFound = 4,
    /// Took too long or cannot be done at the moment: try again.
    TryAgain = 5,
    /// Not allowed, or no space left for it.
    Refused = 6,
}

impl Code {
    /// The code with this number; [`Code::Error`] where there is none.
    pub(crate) fn of(number: u8) -> Self {
        let all = [
            Self::Usage,
            Self::NotRunning,
            Self::NotFound,
            Self::TryAgain,
            Self::Refused,
        ];
        all.into_iter()
            .find(|code| *code as u8 == number)
            .unwrap_or(Self::Error)
    }
}

/// Why a command failed.
#[derive(Debug)]
pub struct Failure {
    /// How the process ends.
    pub code: Code,
    /// Word for programs.
    pub word: String,
    /// What went wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// Peers that were asked in vain.
    pub asked: Vec<String>,
}

impl Failure {
    /// A failure with the word that goes with `code`.
    pub fn new(code: Code, message: impl fmt::Display) -> Self {
        let word = match code {
            Code::Error => "error",
            Code::Usage => "usage",
            Code::NotRunning => "not_running",
            Code::NotFound => "not_found",
            Code::TryAgain => "timeout",
            Code::Refused => "refused",
        };
        Self {
            code,
            word: word.to_owned(),
            message: message.to_string(),
            hint: None,
            asked: Vec::new(),
        }
    }

    /// Any other error.
    pub fn other(message: impl fmt::Display) -> Self {
        Self::new(Code::Error, message)
    }

    /// What the person typed makes no sense.
    pub fn usage(message: impl fmt::Display) -> Self {
        Self::new(Code::Usage, message)
    }

    /// Adds what to do about it.
    pub fn with_hint(mut self, hint: impl fmt::Display) -> Self {
        self.hint = Some(hint.to_string());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

impl From<types::Failure> for Failure {
    fn from(failure: types::Failure) -> Self {
        let code = match failure.code.as_str() {
            "bad_request" => Code::Usage,
            "not_found" => Code::NotFound,
            "timeout" | "unavailable" => Code::TryAgain,
            "unauthorized"
            | "forbidden"
            | "storage_full"
            | "full"
            | "too_large"
            | "fork"
            | "already"
            | "precondition_failed" => Code::Refused,
            _ => Code::Error,
        };
        Self {
            code,
            word: failure.code,
            message: failure.message,
            hint: failure.hint,
            asked: failure.asked,
        }
    }
}

impl From<anyhow::Error> for Failure {
    /// A [`Failure`] that travelled through another crate's error keeps its code.
    fn from(error: anyhow::Error) -> Self {
        match error.downcast::<Failure>() {
            Ok(failure) => failure,
            Err(error) => Self::other(format!("{error:#}")),
        }
    }
}
