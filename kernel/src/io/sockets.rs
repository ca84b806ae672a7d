//! The five sockets of the kernel, bound as the connection file says.
#![allow(unsafe_code, reason = "descriptors of libzmq are borrowed")]

use std::os::fd::BorrowedFd;

use anyhow::Context as _;
use diaphane_sight::proc::{open_files, tasks};
use diaphane_wire::{Channel, Connection, Frames};
use rustix::io::FdFlags;
use zmq::{Context, DONTWAIT, Socket, SocketType};

use super::socket_files::SocketFile;
use super::subscribers::{Listener, Unread};

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
    unread: Unread,
    files: Vec<SocketFile>,
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
        let mut sockets = Self {
            shell: bind(SocketType::ROUTER, Channel::Shell)?,
            control: bind(SocketType::ROUTER, Channel::Control)?,
            stdin: bind(SocketType::ROUTER, Channel::Stdin)?,
            iopub: bind(SocketType::XPUB, Channel::Iopub)?,
            // A REP would wait for ever to answer one whose message was broken off.
            heartbeat: bind(SocketType::ROUTER, Channel::Heartbeat)?,
            unread: Unread::default(),
            files: Vec::new(),
            _context: context,
        };
        sockets.files = sockets
            .all()
            .into_iter()
            .filter_map(SocketFile::of)
            .collect();
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

    /// Sends to every subscriber, or gives back what there is no room for: too much is unread.
    pub fn publish(&mut self, frames: Frames) -> Result<(), Frames> {
        if !self.unread.has_room() {
            return Err(frames);
        }
        self.publish_last(frames);
        Ok(())
    }

    /// Sends to every subscriber, however much is unread: for what nothing comes behind.
    pub fn publish_last(&mut self, frames: Frames) {
        if let Err(error) = self.unread.send(&mut self.iopub, frames) {
            tracing::warn!(%error, "a message could not be published");
        }
    }

    /// Whether no large message waits for a subscriber.
    pub fn is_all_read(&self) -> bool {
        self.unread.is_little()
    }

    /// Ends the connections of the subscribers that take nothing more. How many there were.
    pub fn let_go_who_do_not_read(&self) -> usize {
        Listener::of(&self.iopub).map_or(0, |listener| listener.let_go_who_do_not_read())
    }

    /// Removes the files of sockets that have one: nobody can connect any more.
    pub fn remove_files(&self) {
        self.files.iter().for_each(SocketFile::remove);
    }

    fn all(&self) -> [&Socket; 5] {
        [
            &self.shell,
            &self.control,
            &self.stdin,
            &self.iopub,
            &self.heartbeat,
        ]
    }
}

fn bind(
    context: &Context,
    kind: SocketType,
    channel: Channel,
    connection: &Connection,
) -> anyhow::Result<Socket> {
    let socket = context.socket(kind)?;
    socket.set_linger(LINGER)?;
    socket.set_maxmsgsize(LARGEST_FRAME)?;
    socket.set_rcvhwm(0)?;
    socket.set_sndhwm(0)?;
    if kind == SocketType::ROUTER {
        // A client that comes back under its name takes the name over.
        socket.set_router_handover(true)?;
    }
    if channel == Channel::Iopub {
        socket.set_xpub_verbose(true)?;
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
