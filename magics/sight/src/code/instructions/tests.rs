//! Functions and loops in code that an assembler made.

use super::*;

#[test]
fn a_function_ends_where_no_jump_reaches_over() {
    // je over the first ret; ret; ret; nop
    let code = Box::leak(Box::new([0x74u8, 0x01, 0xc3, 0xc3, 0x90]));
    let found = decode_function(code.as_ptr().addr(), 100);
    assert_eq!(found.len(), 3);
    let text: Vec<_> = found.iter().map(|one| one.text.as_str()).collect();
    assert_eq!(text[1..], ["ret", "ret"]);
}

#[test]
fn nothing_is_decoded_where_nothing_is_mapped() {
    assert!(decode(0, 100, 10).is_empty() && decode_function(usize::MAX - 5, 10).is_empty());
    assert_eq!(plt_got_entry(8), None);
}

#[test]
fn a_loop_goes_back() {
    // jmp +0; je -4
    let found: Vec<_> = decoded(0x1000, &[0xeb, 0x00, 0x74, 0xfc]).collect();
    assert_eq!(loops(&found), [0..=1]);
}
