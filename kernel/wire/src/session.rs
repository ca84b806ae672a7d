//! One side of a conversation: turns frames into messages and messages into frames.

use std::collections::{HashSet, VecDeque};

use crate::header::read_header;
use crate::message::DELIMITER;
use crate::sign::Signer;
use crate::{Error, Frames, Header, Message, Outgoing, PROTOCOL_VERSION};

/// How many signatures are remembered, so that a message cannot be sent again by somebody who overheard it.
const REMEMBERED: usize = 1 << 16;

/// A new id, which nobody else has.
#[must_use]
pub fn new_id() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

/// The kernel's session: its id, its key, the number of its next message, the signatures it has seen.
pub struct Session {
    id: String,
    username: String,
    signer: Signer,
    sent: u64,
    /// The first half of each signature that was seen: 128 bits do not collide by chance, and a user keeps the memory.
    seen: HashSet<u128>,
    order: VecDeque<u128>,
}

impl Session {
    /// A session that signs with this key (an empty one: does not sign).
    #[must_use]
    pub fn new(id: &str, key: &str, username: &str) -> Self {
        Self {
            id: id.to_owned(),
            username: username.to_owned(),
            signer: Signer::new(key),
            sent: 0,
            seen: HashSet::new(),
            order: VecDeque::new(),
        }
    }

    /// Reads a message.
    ///
    /// # Errors
    /// When the frames are not a message, the signature is wrong or was seen before, or the header cannot be sent back.
    /// What is wrong with the other parts, `Request::parse` says, so that the client gets an answer.
    pub fn decode(&mut self, mut frames: Frames) -> Result<Message, Error> {
        let delimiter = frames
            .iter()
            .position(|frame| frame == DELIMITER)
            .ok_or(Error::Frames { found: 0 })?;
        let mut rest = frames.split_off(delimiter + 1);
        frames.truncate(delimiter);
        if rest.len() < 5 {
            return Err(Error::Frames { found: rest.len() });
        }
        let buffers = rest.split_off(5);
        let signed = rest[1..].iter().map(Vec::as_slice);
        if !self.signer.verify(&rest[0], signed) {
            return Err(Error::Signature);
        }
        let (header, raw_header) = read_header(std::mem::take(&mut rest[1]))?;
        self.remember(&rest[0])?;
        let mut parts = rest.into_iter().skip(2);
        let mut next = || parts.next().unwrap_or_default();
        let (raw_parent, metadata, content) = (next(), next(), next());
        Ok(Message {
            identities: frames,
            header,
            raw_header,
            raw_parent,
            metadata,
            content,
            buffers,
        })
    }

    /// Writes a message. `parent` is the raw header of the request that it answers, if there is one.
    pub fn encode(
        &mut self,
        prefix: &[Vec<u8>],
        parent: Option<&[u8]>,
        message: Outgoing,
    ) -> Frames {
        let header = self.next_header(message.id, &message.msg_type, message.date);
        let parent = parent.unwrap_or(b"{}").to_vec();
        let parts = [header, parent, message.metadata, message.content];
        let signature = self.signer.sign(parts.iter().map(Vec::as_slice));
        let mut frames = Frames::with_capacity(prefix.len() + 6 + message.buffers.len());
        frames.extend_from_slice(prefix);
        frames.push(DELIMITER.to_vec());
        frames.push(signature);
        frames.extend(parts);
        frames.extend(message.buffers);
        frames
    }

    /// The id of this session.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    fn next_header(&mut self, id: Option<String>, msg_type: &str, date: String) -> Vec<u8> {
        let header = Header {
            msg_id: id.unwrap_or_else(|| format!("{}_{}", self.id, self.sent)),
            session: self.id.clone(),
            username: self.username.clone(),
            date,
            msg_type: msg_type.to_owned(),
            version: PROTOCOL_VERSION.to_owned(),
            subshell_id: None,
        };
        self.sent += 1;
        serde_json::to_vec(&header).unwrap_or_default()
    }

    fn remember(&mut self, signature: &[u8]) -> Result<(), Error> {
        if !self.signer.signs() {
            return Ok(());
        }
        let half = signature
            .get(..32)
            .and_then(|half| std::str::from_utf8(half).ok());
        let signature = half.and_then(|half| u128::from_str_radix(half, 16).ok());
        let signature = signature.ok_or(Error::Signature)?;
        if !self.seen.insert(signature) {
            return Err(Error::Replay);
        }
        self.order.push_back(signature);
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.seen.remove(&oldest);
        }
        Ok(())
    }
}

/// The present moment, as the protocol writes it.
#[must_use]
pub fn now() -> String {
    jiff::Timestamp::now()
        .strftime("%Y-%m-%dT%H:%M:%S.%6fZ")
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pair() -> (Session, Session) {
        (Session::new("a", "key", "a"), Session::new("b", "key", "b"))
    }

    fn frames(session: &mut Session) -> Frames {
        session.encode(
            &[b"id".to_vec()],
            None,
            Outgoing::raw("x_request", b"{\"a\":1}".to_vec()),
        )
    }

    #[test]
    fn a_message_survives_the_journey() {
        let (mut a, mut b) = pair();
        let message = b.decode(frames(&mut a)).unwrap();
        assert_eq!(message.header.msg_type, "x_request");
        assert_eq!(message.identities, [b"id".to_vec()]);
        assert_eq!(message.content, b"{\"a\":1}");
        assert_eq!(message.raw_parent, b"{}");
    }

    #[test]
    fn a_changed_frame_is_refused() {
        for index in 2..7 {
            let (mut a, mut b) = pair();
            let mut frames = frames(&mut a);
            frames[index].push(b' ');
            assert!(
                matches!(b.decode(frames), Err(Error::Signature)),
                "frame {index}"
            );
        }
    }

    #[test]
    fn the_same_message_is_refused_the_second_time() {
        let (mut a, mut b) = pair();
        let frames = frames(&mut a);
        b.decode(frames.clone()).unwrap();
        assert!(matches!(b.decode(frames), Err(Error::Replay)));
    }

    #[test]
    fn an_unsigned_session_takes_equal_messages() {
        let (mut a, mut b) = (Session::new("a", "", "a"), Session::new("b", "", "b"));
        let frames = frames(&mut a);
        b.decode(frames.clone()).unwrap();
        b.decode(frames).unwrap();
    }

    proptest! {
        #[test]
        fn any_frames_are_a_message_or_an_error(frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 0..12)) {
            prop_assert!(Session::new("k", "key", "k").decode(frames).is_err());
        }

        #[test]
        fn buffers_and_identities_come_back_as_they_were(
            identities in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..8), 0..4),
            buffers in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..64), 0..4),
        ) {
            let (mut a, mut b) = pair();
            let mut message = Outgoing::raw("comm_msg", b"{}".to_vec());
            message.buffers.clone_from(&buffers);
            let message = b.decode(a.encode(&identities, None, message)).unwrap();
            prop_assert_eq!(message.identities, identities);
            prop_assert_eq!(message.buffers, buffers);
        }
    }
}
