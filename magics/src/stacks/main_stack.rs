//! What the main thread, or another one, does at this moment, as data for a live view: the functions that say something, and a sentence.

use serde::Serialize;

use crate::libraries::names::file_name;
use crate::session::cell_files::cell_of_file;
use crate::stacks::merged::{FrameKind, StackFrame};
use crate::stacks::now::ThreadNow;
use crate::stacks::told::{place, says_something, sentence, users};

/// What is said of it, as far as it was asked for.
#[derive(Default, Serialize)]
pub(crate) struct MainStack {
    /// Whose it is, where it is not the main thread's.
    #[serde(skip_serializing_if = "Option::is_none")]
    thread: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stack: Option<Vec<ToldCall>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// One function, the innermost first.
#[derive(Serialize, Clone, PartialEq, Eq, Hash)]
pub(crate) struct ToldCall {
    pub function: Option<String>,
    pub library: Option<String>,
    pub kind: FrameKind,
    pub place: Option<String>,
}

impl MainStack {
    /// Of a thread, where `holder` has the GIL.
    pub(crate) fn of(thread: &ThreadNow, holder: Option<&str>, stack: bool, why: bool) -> Self {
        let calls = || {
            says_something(users(&thread.merged.calls))
                .map(ToldCall::of)
                .collect()
        };
        Self {
            thread: (!thread.is_main).then_some(thread.tid),
            stack: stack.then(calls),
            why: why.then(|| sentence(thread, holder)).flatten(),
        }
    }
}

impl ToldCall {
    fn of(frame: &StackFrame) -> Self {
        Self {
            function: frame.function.clone(),
            library: frame.library.clone(),
            kind: frame.kind,
            place: short_place(frame),
        }
    }
}

/// `In[3]:2`, or a file without its folders.
fn short_place(frame: &StackFrame) -> Option<String> {
    let file = frame.file.as_deref()?;
    if cell_of_file(file).is_some() {
        return place(frame);
    }
    let line = frame.line.map_or("?".to_owned(), |line| line.to_string());
    Some(format!("{}:{line}", file_name(file)))
}
