//! What a recording consists of: one event for each function that was entered, in the order of each thread.

/// One thing that happened, as the recorder writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Event {
    /// The time stamp counter; `clock` makes nanoseconds of it.
    pub time: u64,
    /// What was entered: a number that belongs to the recording's hooks, or one of the `kind`s.
    pub id: u32,
    /// How many events behind this one are its arguments.
    pub extra: u32,
    /// The stack pointer at the function's first instruction: there lies the return address. Of a `kind`, its first
    /// value.
    pub stack: usize,
    /// The return address. Of a `kind`, its second value.
    pub back: usize,
}

/// Events that are no native function. Numbers below `FIRST` are functions.
pub mod kind {
    /// The first of these numbers.
    pub const FIRST: u32 = 0xffff_ff00;
    /// The interpreter's place has changed since the event before: `stack` is the next or current instruction, `back`
    /// the frame. Its time is unknown.
    pub const PLACE: u32 = 0xffff_ff00;
    /// Words that a function was given, three in each event: `time`, `stack`, `back`.
    pub const WORDS: u32 = 0xffff_ff01;
    /// In place of words: one of them could not be read.
    pub const UNREADABLE: u32 = 0xffff_ff02;
    /// A Python function begins; `stack` is the number that the caller of `recorder::note` gave it, `back` how deep the
    /// stack is.
    pub const PYTHON_ENTERS: u32 = 0xffff_ff10;
    /// A Python function ends, also by an exception or at a `yield`.
    pub const PYTHON_LEAVES: u32 = 0xffff_ff11;
    /// Python calls a function that is written in C; `stack` is the number of the callable.
    pub const C_ENTERS: u32 = 0xffff_ff12;
    /// That function returns.
    pub const C_LEAVES: u32 = 0xffff_ff13;
    /// Memory for an array was allocated: its address is `stack`, its size `back`.
    pub const ALLOCATED: u32 = 0xffff_ff20;
    /// That memory is free again.
    pub const FREED: u32 = 0xffff_ff21;
}

/// What one thread did.
#[derive(Debug, Clone, Default)]
pub struct Log {
    /// The kernel's number of the thread.
    pub tid: i32,
    /// What happened, in order.
    pub events: Vec<Event>,
    /// How many events found no room behind the last one.
    pub lost: u64,
    /// How many events happened while the thread was muted.
    pub muted: u64,
}
