//! `%%syscalls` against what Python knows of its own files, threads and children, and that nothing changes for the cell.

mod common;

#[test]
fn syscalls() {
    common::run(
        "syscalls.py",
        include_str!("python/syscalls.py"),
        common::Packages::None,
    );
}
