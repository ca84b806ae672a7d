//! `cargo fuzz run magic_line`
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| diaphane_fuzz::magic_line(data));

#[cfg(not(fuzzing))]
fn main() {}
