//! A message: its frames, its header, and what is needed to answer it.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// The frames of one multipart message.
pub type Frames = Vec<Vec<u8>>;

/// The frame between the routing identities and the message.
pub(crate) const DELIMITER: &[u8] = b"<IDS|MSG>";

/// What a message says of itself. Fields that a client leaves out are empty.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Header {
    /// The id that replies and publications name as their parent's.
    pub msg_id: String,
    /// The sender's session.
    pub session: String,
    /// The sender's user name.
    pub username: String,
    /// When it was sent, ISO 8601.
    pub date: String,
    /// The protocol's name of the message.
    pub msg_type: String,
    /// The protocol version of the sender.
    pub version: String,
    /// The subshell that is asked (JEP 91).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subshell_id: Option<String>,
}

/// A message that was received: parsed as far as routing needs, and the raw JSON of its parts.
#[derive(Debug)]
pub struct Message {
    /// The routing identities before the delimiter.
    pub identities: Frames,
    /// The header, parsed.
    pub header: Header,
    /// The header as it came: replies carry these bytes as their parent.
    pub raw_header: Vec<u8>,
    /// The parent header as it came.
    pub raw_parent: Vec<u8>,
    /// The metadata as it came.
    pub metadata: Vec<u8>,
    /// The content as it came.
    pub content: Vec<u8>,
    /// The binary buffers.
    pub buffers: Frames,
}

impl Default for Message {
    /// A message that says nothing.
    fn default() -> Self {
        let nothing = || b"{}".to_vec();
        Self {
            identities: Vec::new(),
            header: Header::default(),
            raw_header: nothing(),
            raw_parent: nothing(),
            metadata: nothing(),
            content: nothing(),
            buffers: Vec::new(),
        }
    }
}

impl Message {
    /// How many bytes its content and its buffers have.
    #[must_use]
    pub fn size(&self) -> usize {
        self.content.len() + self.buffers.iter().map(Vec::len).sum::<usize>()
    }

    /// The id of the message that it answers, if it says so.
    #[must_use]
    pub fn parent_id(&self) -> Option<String> {
        let parent: Header = serde_json::from_slice(&self.raw_parent).ok()?;
        Some(parent.msg_id).filter(|id| !id.is_empty())
    }
}

/// A message to be sent: everything but the header, which the session writes, and the parent.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// Its id, where the sender has to know it; else the session counts.
    pub id: Option<String>,
    /// The protocol's name of the message.
    pub msg_type: Cow<'static, str>,
    /// When it was made, ISO 8601.
    pub date: String,
    /// The metadata, as JSON.
    pub metadata: Vec<u8>,
    /// The content, as JSON.
    pub content: Vec<u8>,
    /// The binary buffers.
    pub buffers: Frames,
}

impl Outgoing {
    /// A message with this content, no metadata and no buffers.
    #[must_use]
    pub fn new(msg_type: &'static str, content: &impl Serialize) -> Self {
        // The contents are structs of strings, numbers and maps with string keys: they always serialise.
        Self::raw(msg_type, serde_json::to_vec(content).unwrap_or_default())
    }

    /// A message whose content is JSON already.
    #[must_use]
    pub fn raw(msg_type: impl Into<Cow<'static, str>>, content: Vec<u8>) -> Self {
        Self {
            id: None,
            msg_type: msg_type.into(),
            date: crate::now(),
            metadata: b"{}".to_vec(),
            content,
            buffers: Vec::new(),
        }
    }

    /// How many bytes its content and its buffers have.
    #[must_use]
    pub fn size(&self) -> usize {
        self.content.len() + self.buffers.iter().map(Vec::len).sum::<usize>()
    }

    /// Gives the message metadata.
    pub fn set_metadata(&mut self, metadata: &impl Serialize) {
        self.metadata = serde_json::to_vec(metadata).unwrap_or_default();
    }
}
