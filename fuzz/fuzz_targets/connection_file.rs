//! `cargo fuzz run connection_file`
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| diaphane_fuzz::connection_file(data));

#[cfg(not(fuzzing))]
fn main() {}
