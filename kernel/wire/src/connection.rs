//! The connection file: where the kernel listens, and with which keys.

use std::path::Path;

use serde::Deserialize;

use crate::Error;

/// The five sockets of a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// Requests that are answered in their order.
    Shell,
    /// Requests that are answered at once.
    Control,
    /// The kernel's questions to the user.
    Stdin,
    /// What everybody may see.
    Iopub,
    /// Echo.
    Heartbeat,
}

/// The content of a connection file.
#[derive(Clone, Debug, Deserialize)]
pub struct Connection {
    /// `tcp` or `ipc`.
    pub transport: String,
    /// The address to listen on, or the prefix of the sockets' paths.
    pub ip: String,
    /// Port of the shell channel.
    pub shell_port: u16,
    /// Port of the iopub channel.
    pub iopub_port: u16,
    /// Port of the stdin channel.
    pub stdin_port: u16,
    /// Port of the control channel.
    pub control_port: u16,
    /// Port of the heartbeat.
    pub hb_port: u16,
    /// The key that messages are signed with; empty for none.
    #[serde(default)]
    pub key: String,
    /// `hmac-sha256`, the only scheme in use.
    #[serde(default)]
    pub signature_scheme: String,
    /// The kernel's public CurveZMQ key in Z85, when the transport is encrypted.
    #[serde(default)]
    pub curve_publickey: Option<String>,
    /// The kernel's secret CurveZMQ key in Z85.
    #[serde(default)]
    pub curve_secretkey: Option<String>,
}

impl Connection {
    /// Reads a connection file.
    ///
    /// # Errors
    /// When it cannot be read, is not the JSON of a connection, or asks for an unknown transport or signature scheme.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read(path).map_err(|source| Error::ConnectionFile {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(path, &text)
    }

    /// Reads the content of a connection file; the path is for the error.
    ///
    /// # Errors
    /// As for [`Self::read`].
    pub fn parse(path: &Path, text: &[u8]) -> Result<Self, Error> {
        let connection: Self =
            serde_json::from_slice(text).map_err(|source| Error::NoConnection {
                path: path.to_owned(),
                source,
            })?;
        let unsupported = |field, value: &String, known| {
            Err(Error::Unsupported {
                field,
                value: value.clone(),
                known,
            })
        };
        if !["tcp", "ipc"].contains(&connection.transport.as_str()) {
            return unsupported("transport", &connection.transport, "tcp and ipc");
        }
        if !["", "hmac-sha256"].contains(&connection.signature_scheme.as_str()) {
            return unsupported(
                "signature_scheme",
                &connection.signature_scheme,
                "hmac-sha256",
            );
        }
        Ok(connection)
    }

    /// The address that a channel's socket binds.
    #[must_use]
    pub fn endpoint(&self, channel: Channel) -> String {
        let separator = if self.transport == "tcp" { ':' } else { '-' };
        format!(
            "{}://{}{separator}{}",
            self.transport,
            self.ip,
            self.port(channel)
        )
    }

    /// The port of a channel.
    #[must_use]
    pub fn port(&self, channel: Channel) -> u16 {
        match channel {
            Channel::Shell => self.shell_port,
            Channel::Control => self.control_port,
            Channel::Stdin => self.stdin_port,
            Channel::Iopub => self.iopub_port,
            Channel::Heartbeat => self.hb_port,
        }
    }

    /// The CURVE keys (public, secret), when the file asks for encryption.
    #[must_use]
    pub fn curve_keys(&self) -> Option<(&str, &str)> {
        Some((
            self.curve_publickey.as_deref()?,
            self.curve_secretkey.as_deref()?,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(transport: &str, scheme: &str) -> String {
        format!(
            r#"{{"transport":"{transport}","ip":"127.0.0.1","shell_port":1,"iopub_port":2,"stdin_port":3,
            "control_port":4,"hb_port":5,"key":"k","signature_scheme":"{scheme}","kernel_name":"diaphane"}}"#
        )
    }

    #[test]
    fn endpoints_follow_the_transport() {
        let tcp =
            Connection::parse(Path::new("c.json"), file("tcp", "hmac-sha256").as_bytes()).unwrap();
        assert_eq!(tcp.endpoint(Channel::Iopub), "tcp://127.0.0.1:2");
        let ipc = Connection::parse(Path::new("c.json"), file("ipc", "").as_bytes()).unwrap();
        assert_eq!(ipc.endpoint(Channel::Heartbeat), "ipc://127.0.0.1-5");
        assert_eq!(ipc.curve_keys(), None);
    }

    #[test]
    fn what_is_not_known_is_named() {
        let error = Connection::parse(Path::new("c.json"), file("udp", "").as_bytes()).unwrap_err();
        assert!(error.to_string().contains("transport \"udp\""), "{error}");
        let error =
            Connection::parse(Path::new("c.json"), file("tcp", "hmac-md5").as_bytes()).unwrap_err();
        assert!(error.to_string().contains("hmac-md5"), "{error}");
        assert!(Connection::parse(Path::new("c.json"), b"{}").is_err());
    }
}
