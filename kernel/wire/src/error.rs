//! What can be wrong with a message or a connection file.

/// Why frames are not a message, or a file is not a connection.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The frames have no `<IDS|MSG>`, or fewer than five frames behind it.
    #[error(
        "the message has {found} frames behind its delimiter, not the five that the protocol asks for"
    )]
    Frames {
        /// How many frames were found.
        found: usize,
    },
    /// The signature is not that of this connection's key.
    #[error("the signature is wrong")]
    Signature,
    /// This very signature was seen before.
    #[error("the message was seen before")]
    Replay,
    /// A part is not the JSON that it should be.
    #[error("the {part} is not valid: {source}")]
    Json {
        /// The part's name in the protocol.
        part: &'static str,
        /// What the parser met.
        source: serde_json::Error,
    },
    /// A part is nested so deeply that Python could not read it.
    #[error("the {0} is nested too deeply")]
    Depth(&'static str),
    /// A part has a number of more digits than Python may have been told to read.
    #[error("the {0} has a number of too many digits")]
    Digits(&'static str),
    /// A part is no text.
    #[error("the {0} is not UTF-8")]
    Text(&'static str),
    /// The header goes back to every client with every message that comes of it.
    #[error("the header has {0} bytes, more than every client could be sent with each message")]
    LongHeader(usize),
    /// A field of the header, which goes back to every client, would end those that read it as a date.
    #[error("the header has a date that no calendar has: {0:?}")]
    Date(String),
    /// The connection file could not be read.
    #[error("the connection file {path} could not be read")]
    ConnectionFile {
        /// The file.
        path: std::path::PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not the JSON of a connection.
    #[error("{path} is not a connection file, as Jupyter writes it for a kernel")]
    NoConnection {
        /// The file.
        path: std::path::PathBuf,
        /// What the parser met.
        source: serde_json::Error,
    },
    /// The connection file asks for something that this kernel does not have.
    #[error("the connection file has {field} {value:?}, but this kernel knows {known}")]
    Unsupported {
        /// The field of the file.
        field: &'static str,
        /// Its value.
        value: String,
        /// What would be understood.
        known: &'static str,
    },
}
