//! Logs without a cell: of other threads, and of blocks and functions, whose recording a program begins and ends.

use super::*;

#[test]
fn what_ends_the_recording_of_a_block_is_no_part_of_it() {
    let script = Script::default()
        .leaves()
        .python(FUNCTION, 0x9000)
        .leaves()
        .add(kind::C_ENTERS, END, 0x9000)
        .python(FUNCTION, 0x8000)
        .native(0x1500, 0x7000, 0x2010)
        .leaves();
    assert_eq!(shape(&script.tree(false)), ["Python(1) 1"]);
}

#[test]
fn a_function_of_ours_passes_on_to_its_caller() {
    let script = Script::default()
        .python(FUNCTION, 0x9000)
        .python(OUR_FUNCTION, 0x8000)
        .python(FUNCTION, 0x7000)
        .leaves()
        .leaves()
        .python(DISPLAY + 1, 0x8000);
    assert_eq!(
        shape(&script.tree(false)),
        ["Python(1) 1", "  Python(1) 1", "  Python(3) 1"]
    );
}

#[test]
fn a_worker_thread_has_trees_without_a_cell() {
    let log = Script::default()
        .native(0x1100, 0x8000, 0x6010)
        .native(0x1200, 0x7f00, 0x1110);
    assert_eq!(
        shape(&log.tree(false)),
        ["caller 6000 0", "  native 1100 1", "    native 1200 1"]
    );
}
