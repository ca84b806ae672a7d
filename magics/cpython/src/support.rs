//! What of a Python cannot be known or done, and why, each as one sentence.

use std::fmt;

use crate::check::{self, Checked};
use crate::versions::Version;

/// Why an interpreter's structures are not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unknown {
    /// It exports no version.
    Nameless,
    /// Nobody wrote down where this version keeps what.
    Version,
    /// The table for debuggers is missing, of another version, or broken.
    Table,
    /// It can run without the GIL, and is of a version of which that is not known.
    FreeThreaded,
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nameless => "it is older than 3.11, or hides its names",
            Self::Version => "only 3.11 to 3.15 are known",
            Self::Table => "its table for debuggers is not there, or not as this version has it",
            Self::FreeThreaded => {
                "it is built without the GIL, which is known of 3.14 and 3.15 alone"
            }
        })
    }
}

/// The sentence for a Python whose structures are not known.
pub(crate) fn sentence(version: Option<Version>, why: Unknown) -> String {
    let version = version.map_or("?".to_owned(), |version| version.to_string());
    format!(
        "the structures of this Python ({version}) are not known, so its functions are not shown: {why}"
    )
}

/// Why this process's Python functions and the holder of its GIL are not shown; `None` where they are.
pub fn support() -> Option<String> {
    match check::checked() {
        Checked::Holds => None,
        Checked::NotYet => Some(
            "this Python's own structures were not compared with its C interface yet, so neither its functions and lines nor the GIL are shown: run a cell first"
                .to_owned(),
        ),
        Checked::Differs(field) => Some(format!(
            "this Python's own structures are not as its version has them ({field} differs from what its C interface says), so neither its functions and lines nor the GIL are shown"
        )),
        Checked::Unknown(why) => Some(sentence(Some(check::version()), why)),
    }
}

/// What recordings of Python's own calls cannot do here.
pub(crate) const NO_EVENTS: &str = "Python functions are not shown: this Python runs without the GIL, and only one thread at a time may tell of its calls";

/// What is to be known of another process that runs without the GIL.
pub(crate) const NO_GIL: &str =
    "this Python runs without the GIL, so nobody holds it or waits for it";
