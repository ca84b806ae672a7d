//! The question of a live view, which comes every second and is answered in silence, and the answer as a view reads it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The types of the requests that are answered in silence.
pub const REQUEST: &str = "monitor_request";
/// The one about the profile of the rest of a cell.
pub const PROFILE_REQUEST: &str = "profile_request";

/// Whether a request of this type gets its reply and nothing else, neither busy nor idle. Who watches a kernel asks every
/// second: front ends take the status of any request for the kernel's own, and servers take it for a sign of use.
#[must_use]
pub fn is_silent(msg_type: &str) -> bool {
    [REQUEST, PROFILE_REQUEST].contains(&msg_type)
}

/// `profile_request`: something about the profile of the rest of a cell. This kernel's own addition to the protocol.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct ProfileRequest {
    /// What is to be done.
    pub action: ProfileAction,
}

/// What is to be done about the profile of the rest of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProfileAction {
    /// Begin to sample the cell that has run for longest.
    Begin,
    /// End that before its cell does.
    End,
    /// Give the report of the last one.
    Read,
}

/// A question of a live view.
#[derive(Clone, Copy, Debug)]
pub enum LiveRequest {
    /// What the process does at this moment.
    Monitor(MonitorRequest),
    /// Something about the profile of the rest of a cell.
    Profile(ProfileAction),
}

/// `monitor_request`: what the process does at this moment. This kernel's own addition to the protocol.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub struct MonitorRequest {
    /// The epoch of the names that the front end has already.
    pub epoch: Option<u64>,
    /// The thread about which the next two ask; without it, the main thread.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread: Option<i32>,
    /// With the functions that it runs.
    #[serde(default)]
    pub stack: bool,
    /// With a sentence that says what it does.
    #[serde(default)]
    pub why: bool,
}

/// `monitor_reply`: what the process did at that moment. What a kernel of another version leaves out is empty here.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Moment {
    /// By Linux's monotonic clock.
    pub at_ns: u64,
    /// That of the names.
    #[serde(default)]
    pub epoch: u64,
    /// The cell that has run for longest.
    #[serde(default)]
    pub cell: Option<RunningCell>,
    /// Bytes in physical memory.
    #[serde(default)]
    pub rss: Option<u64>,
    /// CPU time of all threads.
    pub cpu_ns: u64,
    /// How many CPUs the process may use.
    #[serde(default)]
    pub usable_cpus: Option<usize>,
    /// The thread that holds the GIL.
    #[serde(default)]
    pub gil: Option<i32>,
    /// All threads.
    pub threads: Vec<ThreadMoment>,
    /// What the threads are called, with another epoch than the one that was asked with.
    #[serde(default)]
    pub names: Option<BTreeMap<i32, ThreadName>>,
    /// The libraries that keep threads of their own; beside the names.
    #[serde(default)]
    pub pools: Option<Vec<PoolSize>>,
    /// Whose the stack and the sentence are, where they were asked for of another thread than the main one.
    #[serde(default)]
    pub thread: Option<i32>,
    /// On request: the functions that say something, the innermost first.
    #[serde(default)]
    pub stack: Option<Vec<StackCall>>,
    /// On request: what the thread does, in a sentence.
    #[serde(default)]
    pub why: Option<String>,
}

/// A cell that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct RunningCell {
    /// Its number; a cell may have none.
    pub count: Option<u32>,
    /// When it began, by the clock of the moment.
    pub since_ns: u64,
}

/// A thread: its number, its state as Linux has it, its CPU time, and the system call or `GIL` that it waits in.
#[derive(Clone, Debug, Deserialize)]
pub struct ThreadMoment(pub i32, pub char, pub u64, pub Option<String>);

/// What a thread is called, and whose it is.
#[derive(Clone, Debug, Deserialize)]
pub struct ThreadName {
    /// As Python or Linux has it.
    pub name: String,
    /// The library that started it.
    #[serde(default)]
    pub owner: Option<String>,
    /// The package of that library.
    #[serde(default)]
    pub package: Option<String>,
    /// Whose thread it is.
    #[serde(default)]
    pub kind: ThreadOwner,
}

/// Whose a thread is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ThreadOwner {
    /// The main thread.
    Main,
    /// One of a library that keeps threads to compute with.
    Pool,
    /// One of the kernel's own.
    Kernel,
    /// Any other.
    #[default]
    #[serde(other)]
    User,
}

/// A library that computes on threads of its own.
#[derive(Clone, Debug, Deserialize)]
pub struct PoolSize {
    /// What it is called, as `OpenBLAS`.
    pub name: String,
    /// Its file.
    #[serde(default)]
    pub library: Option<String>,
    /// With how many threads it computes.
    pub threads: usize,
}

/// One function of a stack.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct StackCall {
    /// Its name.
    pub function: Option<String>,
    /// Of a native function.
    #[serde(default)]
    pub library: Option<String>,
    /// `python` or `native`.
    pub kind: String,
    /// Of a Python function: `In[3]:2`, or a file and a line.
    #[serde(default)]
    pub place: Option<String>,
}
