//! What the kernel itself publishes on iopub, one struct a message.

use serde::Serialize;

/// `status`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Status {
    execution_state: &'static str,
}

/// A request is being answered.
pub const BUSY: Status = Status {
    execution_state: "busy",
};
/// It was answered.
pub const IDLE: Status = Status {
    execution_state: "idle",
};
/// The kernel has begun.
pub const STARTING: Status = Status {
    execution_state: "starting",
};

/// `stream`
#[derive(Debug, Serialize)]
pub struct Stream<'a> {
    /// `stdout` or `stderr`.
    pub name: &'a str,
    /// What was written.
    pub text: &'a str,
}

/// `execute_input`
#[derive(Debug, Serialize)]
pub struct ExecuteInput<'a> {
    /// The cell.
    pub code: &'a str,
    /// Its number.
    pub execution_count: u64,
}

/// `display_data`
#[derive(Debug, Serialize)]
pub struct Display<T> {
    /// What is shown, by MIME type.
    pub data: T,
    metadata: Empty,
    transient: Transient,
}

#[derive(Debug, Serialize)]
struct Empty {}

/// What is not stored with what is shown.
#[derive(Debug, Default, Serialize)]
struct Transient {
    #[serde(skip_serializing_if = "Option::is_none")]
    display_id: Option<String>,
}

impl<T> Display<T> {
    /// Something to show, without metadata.
    #[must_use]
    pub fn new(data: T) -> Self {
        Self {
            data,
            metadata: Empty {},
            transient: Transient::default(),
        }
    }

    /// Something to show under a name, by which something else may take its place (`update_display_data`).
    #[must_use]
    pub fn named(data: T, name: &str) -> Self {
        Self {
            transient: Transient {
                display_id: Some(name.to_owned()),
            },
            ..Self::new(data)
        }
    }
}

/// `iopub_welcome` (JEP 65)
#[derive(Debug, Serialize)]
pub struct Welcome<'a> {
    /// What the client subscribed to.
    pub subscription: &'a str,
}
