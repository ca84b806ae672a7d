//! What a recording says of files, processes and threads.

use diaphane_trace::syscalls::{Call, SyscallRecording};
use serde::Serialize;

use super::decode::{error_name, name_of};

/// A file that was opened, or was to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct OpenedFile {
    pub path: String,
    /// The error, if it could not be opened.
    pub error: Option<String>,
    /// Whether it was opened for writing.
    pub writes: bool,
    pub began_ns: u64,
    pub took_ns: Option<u64>,
    pub tid: i32,
    /// Its place among the recording's calls.
    #[serde(skip)]
    pub index: usize,
}

/// A process or a thread that was started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Creation {
    /// `process` or `thread`.
    pub kind: &'static str,
    /// Its number, if the call had returned.
    pub id: Option<i32>,
    /// The thread that started it.
    pub by: i32,
    pub began_ns: u64,
    /// Whether its own calls are in the recording.
    pub followed: bool,
    #[serde(skip)]
    pub index: usize,
}

/// The opens of a recording, in their order.
pub(crate) fn opens(recording: &SyscallRecording) -> Vec<OpenedFile> {
    let calls = recording.calls.iter().enumerate();
    calls
        .filter_map(|(index, call)| open(index, call))
        .collect()
}

fn open(index: usize, call: &Call) -> Option<OpenedFile> {
    let (path, flags) = match name_of(call).as_str() {
        "open" => (0, call.arguments[1]),
        "creat" => (0, libc::O_WRONLY as usize),
        "openat" => (1, call.arguments[2]),
        "openat2" => (1, 0),
        _ => return None,
    };
    Some(OpenedFile {
        path: String::from_utf8_lossy(call.text(path)?).into_owned(),
        error: error_name(call),
        writes: flags & libc::O_ACCMODE as usize != libc::O_RDONLY as usize,
        began_ns: call.began_ns,
        took_ns: call.took_ns,
        tid: call.tid,
        index,
    })
}

/// The processes and threads that were started, in their order.
pub(super) fn creations(recording: &SyscallRecording) -> Vec<Creation> {
    let calls = recording.calls.iter().enumerate();
    let creation = |(index, call): (usize, &Call)| {
        let flags = match name_of(call).as_str() {
            "clone" => call.arguments[0] as u64,
            "clone3" => u64::from_ne_bytes(call.text(0)?.get(..8)?.try_into().ok()?),
            "fork" | "vfork" => 0,
            _ => return None,
        };
        let is_thread = flags & libc::CLONE_THREAD as u64 != 0;
        if call.error().is_some() {
            return None;
        }
        let id = call.result.and_then(|result| i32::try_from(result).ok());
        Some(Creation {
            kind: if is_thread { "thread" } else { "process" },
            id,
            by: call.tid,
            began_ns: call.began_ns,
            followed: is_thread && id.is_some_and(|id| recording.threads.contains(&id)),
            index,
        })
    };
    calls.filter_map(creation).collect()
}
