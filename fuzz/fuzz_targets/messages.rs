//! `cargo fuzz run messages`
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| diaphane_fuzz::messages(data));

#[cfg(not(fuzzing))]
fn main() {}
