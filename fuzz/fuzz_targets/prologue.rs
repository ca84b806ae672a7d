//! `cargo fuzz run prologue`
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| diaphane_fuzz::prologue(data));

#[cfg(not(fuzzing))]
fn main() {}
