//! The magics, one file each: rows, diagnoses and a chart; what they ask of the process is in the other rooms.

pub(crate) mod addr_map;
pub(crate) mod buffer_addr;
pub(crate) mod buffer_trace;
pub(crate) mod buffer_writes;
pub(crate) mod crash_report;
pub(crate) mod diaphane;
pub(crate) mod disasm;
pub(crate) mod loaded_libs;
pub(crate) mod memory;
pub(crate) mod monitor;
pub(crate) mod native_calls;
pub(crate) mod native_delta;
pub(crate) mod native_doctor;
pub(crate) mod native_prof;
pub(crate) mod process_tree;
pub(crate) mod rust;
pub(crate) mod rust_reset;
pub(crate) mod rust_status;
pub(crate) mod stack;
pub(crate) mod syscalls;
pub(crate) mod threads;
pub(crate) mod trace_loads;
pub(crate) mod watch_buffer;
pub(crate) mod where_func;
pub(crate) mod why_import;
