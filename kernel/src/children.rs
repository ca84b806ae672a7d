//! What forked children have to show: they have no sockets, so they hand their messages to the kernel.
//!
//! Their text goes through the pipes behind descriptors 1 and 2, as everybody's. A message is a file in memory that is
//! sent over a pair of sockets together with a pipe, which the kernel closes when it has published the message: until
//! then the child waits, so that what it prints afterwards stands below.

use std::fs::File;
use std::io::{IoSlice, IoSliceMut, Read as _, Seek as _, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd, RawFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use rustix::pipe::{PipeFlags, pipe_with};
use serde::{Deserialize, Serialize};

/// How long a child waits for a kernel that may be gone.
const PATIENCE: Timespec = Timespec {
    tv_sec: 5,
    tv_nsec: 0,
};

/// The way from the children to the kernel.
pub struct Children {
    child: OwnedFd,
    kernel: OwnedFd,
}

/// A message for iopub, as a child hands it over.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FromChild {
    /// Its type.
    pub msg_type: String,
    /// The header of the request that `set_parent` has chosen for it, as JSON.
    pub header: Option<String>,
    /// Otherwise the subshell whose cell it belongs to; none is the main thread.
    pub subshell: Option<String>,
    /// JSON.
    pub metadata: String,
    /// JSON.
    pub content: String,
    /// The buffers; they stand behind all this.
    #[serde(skip)]
    pub buffers: Vec<Vec<u8>>,
}

/// Held until a message is published: its child waits for that.
pub struct Receipt {
    _pipe: OwnedFd,
}

impl Children {
    /// A way that children inherit, and programs that they start do not.
    ///
    /// # Errors
    /// When the process has no file descriptor left.
    pub fn new() -> std::io::Result<Self> {
        let flags = SocketFlags::CLOEXEC;
        let (child, kernel) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        Ok(Self { child, kernel })
    }

    /// The end to poll for reading.
    pub fn fd(&self) -> RawFd {
        self.kernel.as_raw_fd()
    }

    /// In a child: hands a message over, and waits until it is published.
    ///
    /// # Errors
    /// When the process has no file descriptor left, or the kernel does not take it.
    pub fn hand_over(&self, message: &FromChild) -> std::io::Result<()> {
        let lengths: Vec<usize> = message.buffers.iter().map(Vec::len).collect();
        let mut file = File::from(memfd_create("diaphane-display", MemfdFlags::CLOEXEC)?);
        serde_json::to_writer(&mut file, &(message, lengths))?;
        file.write_all(b"\n")?;
        for buffer in &message.buffers {
            file.write_all(buffer)?;
        }
        file.rewind()?;
        let (published, pipe) = pipe_with(PipeFlags::CLOEXEC)?;
        let room = &mut [PollFd::new(&self.child, PollFlags::OUT)];
        patiently(room)?;
        self.send(&file, &pipe)?;
        drop(pipe);
        patiently(&mut [PollFd::new(&published, PollFlags::IN)])
    }

    fn send(&self, file: &File, pipe: &OwnedFd) -> std::io::Result<()> {
        let fds = [file.as_fd(), pipe.as_fd()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
        let mut rights = SendAncillaryBuffer::new(&mut space);
        rights.push(SendAncillaryMessage::ScmRights(&fds));
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        sendmsg(&self.child, &[IoSlice::new(b"!")], &mut rights, flags)?;
        Ok(())
    }

    /// The next message. `None` when there is none.
    ///
    /// # Errors
    /// When what came is no message of a child.
    pub fn take(&self) -> std::io::Result<Option<(FromChild, Receipt)>> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
        let mut rights = RecvAncillaryBuffer::new(&mut space);
        let mut byte = [0];
        let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
        match recvmsg(
            &self.kernel,
            &mut [IoSliceMut::new(&mut byte)],
            &mut rights,
            flags,
        ) {
            Err(rustix::io::Errno::AGAIN) => return Ok(None),
            received => received?,
        };
        let fds: Vec<OwnedFd> = rights
            .drain()
            .filter_map(|message| match message {
                RecvAncillaryMessage::ScmRights(fds) => Some(fds),
                _ => None,
            })
            .flatten()
            .collect();
        let [file, pipe] = <[OwnedFd; 2]>::try_from(fds)
            .map_err(|_| std::io::Error::other("a child's message came without its file"))?;
        Ok(Some((read(file.into())?, Receipt { _pipe: pipe })))
    }
}

/// Waits until something is ready.
fn patiently(what: &mut [PollFd<'_>]) -> std::io::Result<()> {
    match rustix::io::retry_on_intr(|| poll(what, Some(&PATIENCE)))? {
        0 => Err(std::io::Error::new(
            std::io::ErrorKind::TimedOut,
            "the kernel does not take what this child process shows",
        )),
        _ => Ok(()),
    }
}

fn read(mut file: File) -> std::io::Result<FromChild> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let mut parts = bytes.splitn(2, |byte| *byte == b'\n');
    let (mut message, lengths): (FromChild, Vec<usize>) =
        serde_json::from_slice(parts.next().unwrap_or_default())?;
    let mut rest = parts.next().unwrap_or_default();
    for length in lengths {
        let (buffer, later) = rest
            .split_at_checked(length)
            .ok_or(std::io::ErrorKind::UnexpectedEof)?;
        message.buffers.push(buffer.to_vec());
        rest = later;
    }
    Ok(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_arrives_whole_and_its_child_waits_until_it_is_published() {
        let children = Children::new().unwrap();
        let sent = |content: &str| FromChild {
            msg_type: "display_data".into(),
            content: content.into(),
            buffers: vec![b"one\n".to_vec(), vec![], vec![0; 3 << 20]],
            ..FromChild::default()
        };
        let large = "x".repeat(1 << 20);
        std::thread::scope(|scope| {
            let child = scope.spawn(|| children.hand_over(&sent(&large)));
            let taken = std::iter::repeat_with(|| children.take().unwrap());
            let (message, receipt) = taken.flatten().next().unwrap();
            assert_eq!(message.content, large);
            assert_eq!(message.buffers, sent("").buffers);
            assert!(!child.is_finished());
            drop(receipt);
            child.join().unwrap().unwrap();
        });
        assert!(children.take().unwrap().is_none());
    }
}
