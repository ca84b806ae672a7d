//! What of a Python cannot be known or done, and why, each as one sentence.

use crate::own_layout::{self, Checked};
use crate::versions::{Unknown, Version};

/// The sentence for a Python whose structures are not known.
pub(crate) fn sentence(version: Option<Version>, why: Unknown) -> String {
    let version = version.map_or("?".to_owned(), |version| version.to_string());
    format!(
        "the structures of this Python ({version}) are not known, so its functions are not shown: {why}"
    )
}

/// Why this process's Python functions and the holder of its GIL are not shown; `None` where they are.
pub fn support() -> Option<String> {
    match own_layout::checked() {
        Checked::Holds => None,
        Checked::NotYet => Some(
            "this Python's own structures were not compared with its C interface yet, so neither its functions and lines nor the GIL are shown: run a cell first"
                .to_owned(),
        ),
        Checked::Differs(field) => Some(format!(
            "this Python's own structures are not as its version has them ({field} differs from what its C interface says), so neither its functions and lines nor the GIL are shown"
        )),
        Checked::Unknown(why) => Some(sentence(Some(own_layout::version()), why)),
    }
}

/// What recordings of Python's own calls cannot do here.
pub(crate) const NO_EVENTS: &str = "Python functions are not shown: this Python runs without the GIL, and only one thread at a time may tell of its calls";

/// What is to be known of another process that runs without the GIL.
pub(crate) const NO_GIL: &str =
    "this Python runs without the GIL, so nobody holds it or waits for it";
