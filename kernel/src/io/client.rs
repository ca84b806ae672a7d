//! The other end of the control channel: asks a running kernel one question, from another process.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use diaphane_wire::{Channel, Connection, Message, Outgoing, Session, new_id};
use zmq::{Context, CurveKeyPair, Socket, SocketType};

/// Sends a request on the control channel and waits for its reply.
///
/// # Errors
/// When the kernel cannot be reached, or does not answer in time.
pub fn request(
    connection: &Connection,
    request: Outgoing,
    timeout: Duration,
) -> anyhow::Result<Message> {
    let endpoint = connection.endpoint(Channel::Control);
    let context = Context::new();
    let socket = connect(&context, connection, &endpoint)
        .with_context(|| format!("cannot connect to {endpoint}"))?;
    let mut session = Session::new(&new_id(), &connection.key, "diaphane");
    let wanted = request.msg_type.replace("_request", "_reply");
    socket.send_multipart(session.encode(&[], None, request), 0)?;
    let deadline = Instant::now() + timeout;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let milliseconds = i64::try_from(left.as_millis()).unwrap_or(i64::MAX);
        if socket.poll(zmq::POLLIN, milliseconds)? == 0 {
            bail!(
                "no answer from {endpoint} in {} s; is a diaphane kernel running there?",
                timeout.as_secs()
            );
        }
        let reply = session.decode(socket.recv_multipart(0)?)?;
        if reply.header.msg_type == wanted {
            return Ok(reply);
        }
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
