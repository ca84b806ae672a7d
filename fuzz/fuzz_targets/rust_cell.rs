//! `cargo fuzz run rust_cell`
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| diaphane_fuzz::rust_cell(data));

#[cfg(not(fuzzing))]
fn main() {}
