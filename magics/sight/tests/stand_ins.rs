//! What stands between other libraries and the C library is known by its place.

use diaphane_sight::stand_ins::is_stand_in;
use diaphane_sight::threads::creation_records;

#[test]
fn code_between_others_is_known_by_its_place() {
    assert!(is_stand_in(is_stand_in as *const () as usize));
    assert!(is_stand_in(creation_records::create as *const () as usize));
    assert!(!is_stand_in(creation_records::begin as *const () as usize));
}
