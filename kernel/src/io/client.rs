//! The other end of the control channel: asks a running kernel, from another process.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use diaphane_wire::{Channel, Connection, Message, Outgoing, Session, new_id};
use zmq::{Context, CurveKeyPair, Socket, SocketType};

/// A connection to the control channel of a kernel, which lasts for several questions.
pub struct Client {
    socket: Socket,
    session: Session,
    endpoint: String,
    /// The type of the reply that is waited for.
    wanted: String,
}

impl Client {
    /// Connects; a kernel that is not there yet is waited for by every question.
    ///
    /// # Errors
    /// When there is nothing to connect to.
    pub fn connect(connection: &Connection) -> anyhow::Result<Self> {
        let endpoint = connection.endpoint(Channel::Control);
        let socket = connect(&Context::new(), connection, &endpoint)
            .with_context(|| format!("cannot connect to {endpoint}"))?;
        Ok(Self {
            socket,
            session: Session::new(&new_id(), &connection.key, "diaphane"),
            endpoint,
            wanted: String::new(),
        })
    }

    /// Sends a question.
    ///
    /// # Errors
    /// When it cannot be sent.
    pub fn ask(&mut self, request: Outgoing) -> anyhow::Result<()> {
        self.wanted = request.msg_type.replace("_request", "_reply");
        let frames = self.session.encode(&[], None, request);
        Ok(self.socket.send_multipart(frames, 0)?)
    }

    /// The answer to the last question; nothing where none has come within that time.
    ///
    /// # Errors
    /// When what comes is no message of this kernel.
    pub fn answer(&mut self, timeout: Duration) -> anyhow::Result<Option<Message>> {
        let deadline = Instant::now() + timeout;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let milliseconds = i64::try_from(left.as_millis()).unwrap_or(i64::MAX);
            if self.socket.poll(zmq::POLLIN, milliseconds)? == 0 {
                return Ok(None);
            }
            let reply = self.session.decode(self.socket.recv_multipart(0)?)?;
            if reply.header.msg_type == self.wanted {
                return Ok(Some(reply));
            }
        }
    }
}

/// Sends one request on the control channel and waits for its reply.
///
/// # Errors
/// When the kernel cannot be reached, or does not answer in time.
pub fn request(
    connection: &Connection,
    request: Outgoing,
    timeout: Duration,
) -> anyhow::Result<Message> {
    let mut client = Client::connect(connection)?;
    client.ask(request)?;
    match client.answer(timeout)? {
        Some(reply) => Ok(reply),
        None => bail!(
            "no answer from {} in {} s; is a diaphane kernel running there?",
            client.endpoint,
            timeout.as_secs()
        ),
    }
}

fn connect(
    context: &Context,
    connection: &Connection,
    endpoint: &str,
) -> Result<Socket, anyhow::Error> {
    let socket = context.socket(SocketType::DEALER)?;
    socket.set_linger(0)?;
    if let Some((public, _)) = connection.curve_keys() {
        let own = CurveKeyPair::new()?;
        socket.set_curve_serverkey(&zmq::z85_decode(public)?)?;
        socket.set_curve_publickey(&own.public_key)?;
        socket.set_curve_secretkey(&own.secret_key)?;
    }
    socket.connect(endpoint)?;
    Ok(socket)
}
