//! `cargo fuzz run call_frames`
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| diaphane_fuzz::call_frames(data));

#[cfg(not(fuzzing))]
fn main() {}
