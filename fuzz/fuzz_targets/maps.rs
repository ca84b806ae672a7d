//! `cargo fuzz run maps`
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| diaphane_fuzz::maps(data));

#[cfg(not(fuzzing))]
fn main() {}
