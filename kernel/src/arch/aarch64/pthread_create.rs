//! How `pthread_create` passes on the address that it was called from: as one argument more.

/// The instructions, which go on with the function `create`.
macro_rules! pass_on_caller {
    () => {
        "mov x4, x30\nb {create}"
    };
}

pub(crate) use pass_on_caller;
