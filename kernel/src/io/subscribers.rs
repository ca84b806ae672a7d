//! What subscribers have not read yet, counted in bytes, and what becomes of those that stand still.
//!
//! libzmq counts messages, and a display may be of any size. So each frame says by itself when libzmq needs it no more:
//! then it was sent to all that subscribe. One who does not read keeps the frames, and once they are too many is let go:
//! its client connects again by itself, and is welcomed again.
#![allow(unsafe_code, reason = "the zmq crate frees frames without a word")]

use std::ffi::c_void;
use std::net::SocketAddr;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use diaphane_wire::Frames;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{Shutdown, SocketAddrAny, SocketAddrUnix, getpeername, getsockname, shutdown};
use rustix::process::{Resource, getrlimit};
use zmq::{DONTWAIT, SNDMORE, Socket};

/// How many bytes wait for subscribers at the most, and one message more.
pub(super) const MOST_UNREAD: usize = 64 << 20;
/// Less than one large message.
const LITTLE: usize = 1 << 20;
/// What libzmq needs beside a frame's bytes, about.
const OVERHEAD: usize = 128;
/// Smaller frames are copied into libzmq's own structure.
const COPIED: usize = 32;
/// Descriptors beyond are not looked at.
const MOST_DESCRIPTORS: u64 = 1 << 20;

/// The bytes of all frames that libzmq still has.
#[derive(Default)]
pub(super) struct Unread(Arc<AtomicUsize>);

/// A frame that libzmq has.
struct Counted {
    bytes: Vec<u8>,
    unread: Arc<AtomicUsize>,
}

impl Unread {
    /// Whether there is room for one message more.
    pub(super) fn has_room(&self) -> bool {
        self.0.load(Ordering::Acquire) < MOST_UNREAD
    }

    /// Whether no more than small messages wait.
    pub(super) fn is_little(&self) -> bool {
        self.0.load(Ordering::Acquire) < LITTLE
    }

    /// Sends frames to all that subscribe. The socket has no mark beyond which it would refuse some.
    pub(super) fn send(&self, socket: &mut Socket, frames: Frames) -> zmq::Result<()> {
        let last = frames.len().saturating_sub(1);
        for (index, bytes) in frames.into_iter().enumerate() {
            let more = if index < last { SNDMORE } else { 0 };
            if bytes.len() <= COPIED {
                socket.send(bytes, DONTWAIT | more)?;
            } else {
                self.send_counted(socket, bytes, DONTWAIT | more)?;
            }
        }
        Ok(())
    }

    fn send_counted(&self, socket: &mut Socket, bytes: Vec<u8>, flags: i32) -> zmq::Result<()> {
        let unread = Arc::clone(&self.0);
        let size = bytes.len();
        unread.fetch_add(size + OVERHEAD, Ordering::AcqRel);
        let mut counted = Box::new(Counted { bytes, unread });
        let data = counted.bytes.as_mut_ptr();
        let counted = Box::into_raw(counted).cast();
        let mut message = zmq_sys::zmq_msg_t::default();
        let place = &raw mut message;
        // SAFETY: the box stays where it is until `release`, which libzmq calls once, when nobody reads the bytes.
        let made =
            unsafe { zmq_sys::zmq_msg_init_data(place, data.cast(), size, Some(release), counted) };
        if made != 0 {
            release(std::ptr::null_mut(), counted);
            return Err(last_error());
        }
        // SAFETY: the message was made above; the socket is open and belongs to this thread.
        let sent = unsafe { zmq_sys::zmq_msg_send(place, socket.as_mut_ptr(), flags) };
        if sent >= 0 {
            return Ok(());
        }
        let error = last_error();
        // SAFETY: a message that was not sent is still ours.
        unsafe { zmq_sys::zmq_msg_close(place) };
        Err(error)
    }
}

fn last_error() -> zmq::Error {
    // SAFETY: it has no precondition.
    zmq::Error::from_raw(unsafe { zmq_sys::zmq_errno() })
}

/// Called when a frame was sent to all or thrown away, on any of libzmq's threads.
extern "C" fn release(_: *mut c_void, counted: *mut c_void) {
    // SAFETY: it is the box of `send_counted`, whose pointer is given to this function only, and once.
    let counted = unsafe { Box::from_raw(counted.cast::<Counted>()) };
    let size = counted.bytes.len() + OVERHEAD;
    counted.unread.fetch_sub(size, Ordering::AcqRel);
}

/// Where a socket listens.
pub(super) enum Listener {
    /// On a port.
    Port(u16),
    /// At a path.
    Path(PathBuf),
}

impl Listener {
    /// By what libzmq says of a bound socket.
    pub(super) fn of(socket: &Socket) -> Option<Self> {
        let endpoint = socket.get_last_endpoint().ok()?.ok()?;
        match endpoint.split_once("://")? {
            ("ipc", path) => Some(Self::Path(path.into())),
            (_, address) => Some(Self::Port(address.rsplit_once(':')?.1.parse().ok()?)),
        }
    }

    fn is(&self, address: SocketAddrAny) -> bool {
        match self {
            Self::Port(port) => {
                SocketAddr::try_from(address).is_ok_and(|address| address.port() == *port)
            }
            Self::Path(path) => SocketAddrUnix::try_from(address)
                .is_ok_and(|address| address.path_bytes() == Some(path.as_os_str().as_bytes())),
        }
    }

    /// Ends the connections to it whose other end takes nothing more at the moment. How many there were.
    pub(super) fn let_go_who_do_not_read(&self) -> usize {
        let limit = getrlimit(Resource::Nofile)
            .current
            .unwrap_or(MOST_DESCRIPTORS);
        let numbers = 0..i32::try_from(limit.min(MOST_DESCRIPTORS)).unwrap_or(i32::MAX);
        let stalled =
            numbers.filter_map(|number| self.connection(number).filter(|fd| !takes_more(fd)));
        stalled
            .filter(|fd| shutdown(fd, Shutdown::Both).is_ok())
            .count()
    }

    /// A connection to it behind a descriptor.
    fn connection(&self, number: i32) -> Option<OwnedFd> {
        // SAFETY: a number that is closed meanwhile is an error, or another file, which is looked at below.
        let fd = unsafe { BorrowedFd::borrow_raw(number) };
        // Asked first, because it is cheap.
        getpeername(fd).ok()?;
        // From here on it is one file, whatever becomes of the number.
        let fd = rustix::io::fcntl_dupfd_cloexec(fd, 0).ok()?;
        getpeername(&fd).ok()?;
        getsockname(&fd)
            .is_ok_and(|address| self.is(address))
            .then_some(fd)
    }
}

fn takes_more(fd: &OwnedFd) -> bool {
    let now = Timespec::default();
    poll(&mut [PollFd::new(fd, PollFlags::OUT)], Some(&now)) == Ok(1)
}
