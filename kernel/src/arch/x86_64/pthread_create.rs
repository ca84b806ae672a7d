//! How `pthread_create` passes on the address that it was called from: as one argument more.

/// The instructions, which go on with the function `create`.
macro_rules! pass_on_caller {
    () => {
        "mov r8, [rsp]\njmp {create}"
    };
}

pub(crate) use pass_on_caller;
