//! `cargo fuzz run debug_lines`
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| diaphane_fuzz::debug_lines(data));

#[cfg(not(fuzzing))]
fn main() {}
