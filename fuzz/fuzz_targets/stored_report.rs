//! `cargo fuzz run stored_report`
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| diaphane_fuzz::stored_report(data));

#[cfg(not(fuzzing))]
fn main() {}
