//! What recordings of a cell share: what is hooked, the arguments that are kept, who held the GIL, and whether memory that
//! is watched was freed.

pub(crate) mod arguments;
pub(crate) mod children;
#[rustfmt::skip]
pub(crate) mod fields;
pub(crate) mod gil_watch;
pub(crate) mod hook_plan;
pub(crate) mod live_display;
pub(crate) mod owners;
pub(crate) mod queued;
pub(crate) mod recorded_children;
pub(crate) mod sample_rate;
pub(crate) mod signatures;
