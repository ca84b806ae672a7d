//! The five sockets of the kernel, bound as the connection file says.
#![allow(unsafe_code, reason = "the zmq crate lacks one socket option")]

use std::os::fd::BorrowedFd;

use anyhow::Context as _;
use diaphane_sight::proc::{open_files, tasks};
use diaphane_wire::{Channel, Connection, Frames};
use rustix::io::FdFlags;
use zmq::{Context, DONTWAIT, Socket, SocketType};

/// How many messages wait for one subscriber before the others wait for it.
const IOPUB_HIGH_WATER: i32 = 1000;
/// The largest frame that is accepted: nobody makes us allocate more before the signature is known.
const LARGEST_FRAME: i64 = 1 << 30;
/// How long messages that were not delivered hold up the end, in milliseconds.
const LINGER: i32 = 1000;

/// The sockets; one thread owns them.
pub struct Sockets {
    pub(super) shell: Socket,
    pub(super) control: Socket,
    pub(super) stdin: Socket,
    pub(super) iopub: Socket,
    pub(super) heartbeat: Socket,
    _context: Context,
}

impl Sockets {
    /// Binds all five: from now on clients can connect, whatever else is not ready yet.
    ///
    /// # Errors
    /// When an address is in use, or keys are asked for that libzmq cannot use.
    pub fn bind(connection: &Connection) -> anyhow::Result<Self> {
        let before = tasks::numbers();
        let context = Context::new();
        let bind = |kind, channel| bind(&context, kind, channel, connection);
        let sockets = Self {
            shell: bind(SocketType::ROUTER, Channel::Shell)?,
            control: bind(SocketType::ROUTER, Channel::Control)?,
            stdin: bind(SocketType::ROUTER, Channel::Stdin)?,
            iopub: bind(SocketType::XPUB, Channel::Iopub)?,
            heartbeat: bind(SocketType::REP, Channel::Heartbeat)?,
            _context: context,
        };
        keep_from_children()?;
        // Nobody else starts a thread yet, so what is new is libzmq's.
        let new = tasks::numbers().into_iter();
        new.filter(|tid| !before.contains(tid))
            .for_each(diaphane_magics::let_run);
        Ok(sockets)
    }

    /// The socket of a channel.
    pub fn get(&self, channel: Channel) -> &Socket {
        match channel {
            Channel::Shell => &self.shell,
            Channel::Control => &self.control,
            Channel::Stdin => &self.stdin,
            Channel::Iopub => &self.iopub,
            Channel::Heartbeat => &self.heartbeat,
        }
    }

    /// The next message of a channel, if there is one.
    pub fn receive(&self, channel: Channel) -> Option<Frames> {
        self.get(channel).recv_multipart(DONTWAIT).ok()
    }

    /// Sends to every subscriber, or to none when one of them has too much unread: then `false`.
    pub fn publish(&self, frames: &Frames) -> bool {
        self.iopub.send_multipart(frames, DONTWAIT).is_ok()
    }

    /// Sends to the subscribers that have room; the others lose messages until they have read what they have.
    pub fn publish_to_those_who_read(&mut self, frames: &Frames) {
        let sent = set_no_drop(&mut self.iopub, false).is_ok() && self.publish(frames);
        if !sent || set_no_drop(&mut self.iopub, true).is_err() {
            tracing::warn!("a message could not be published");
        }
    }
}

fn bind(
    context: &Context,
    kind: SocketType,
    channel: Channel,
    connection: &Connection,
) -> anyhow::Result<Socket> {
    let mut socket = context.socket(kind)?;
    socket.set_linger(LINGER)?;
    socket.set_maxmsgsize(LARGEST_FRAME)?;
    socket.set_rcvhwm(0)?;
    socket.set_sndhwm(if channel == Channel::Iopub {
        IOPUB_HIGH_WATER
    } else {
        0
    })?;
    if kind == SocketType::ROUTER {
        // A client that comes back under its name takes the name over.
        socket.set_router_handover(true)?;
    }
    if channel == Channel::Iopub {
        socket.set_xpub_verbose(true)?;
        set_no_drop(&mut socket, true)?;
    }
    if let Some((public, secret)) = connection.curve_keys() {
        encrypt(&socket, public, secret)?;
    }
    let endpoint = connection.endpoint(channel);
    socket
        .bind(&endpoint)
        .with_context(|| format!("the {channel:?} channel cannot listen on {endpoint}"))?;
    Ok(socket)
}

/// libzmq leaves its epoll descriptors to child processes: here they are closed for them.
fn keep_from_children() -> anyhow::Result<()> {
    for (number, leads_to) in open_files::descriptors() {
        if leads_to.as_os_str() == "anon_inode:[eventpoll]" {
            // SAFETY: the descriptor is libzmq's, which keeps it as long as the context lives.
            let fd = unsafe { BorrowedFd::borrow_raw(number) };
            rustix::io::fcntl_setfd(fd, FdFlags::CLOEXEC)?;
        }
    }
    Ok(())
}

fn encrypt(socket: &Socket, public: &str, secret: &str) -> anyhow::Result<()> {
    anyhow::ensure!(
        zmq::has("curve") == Some(true),
        "the connection file asks for CurveZMQ, but this kernel was built without it: run ./install.sh without --without-curve"
    );
    let key = |text| zmq::z85_decode(text).context("a CURVE key of the connection file is not Z85");
    socket.set_curve_server(true)?;
    socket.set_curve_publickey(&key(public)?)?;
    socket.set_curve_secretkey(&key(secret)?)?;
    Ok(())
}

/// Whether a full subscriber makes `send` fail (true) or loses the message (false).
fn set_no_drop(socket: &mut Socket, no_drop: bool) -> anyhow::Result<()> {
    let value = i32::from(no_drop);
    // SAFETY: libzmq reads one `int` from the pointer during the call; it only looks up the socket behind the handle.
    let result = unsafe {
        zmq_sys::zmq_setsockopt(
            socket.as_mut_ptr(),
            zmq_sys::ZMQ_XPUB_NODROP as i32,
            (&raw const value).cast(),
            size_of::<i32>(),
        )
    };
    anyhow::ensure!(
        result == 0,
        "libzmq refused ZMQ_XPUB_NODROP: {}",
        std::io::Error::last_os_error()
    );
    Ok(())
}
