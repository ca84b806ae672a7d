//! The kernelspec (`kernel.json`): what a Jupyter client reads to list and to start the kernel.
//!
//! A value and its JSON form. Where it is written, and whether it is true for a given Python, is for the installer.

use serde::{Deserialize, Serialize};
use std::path::Path;

/// The display name of a kernel whose user chose none.
pub const DISPLAY_NAME: &str = "Python (diaphane)";

/// The file of a kernelspec's directory that makes it one.
pub const FILE_NAME: &str = "kernel.json";

/// One kernelspec, with the field names that `jupyter_client` reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KernelSpec {
    /// The command; the client replaces `{connection_file}`.
    pub argv: Vec<String>,
    /// The name in the launcher and the kernel menu.
    pub display_name: String,
    /// The language by which notebooks find a kernel.
    pub language: String,
    /// How the client asks for an interrupt: `message` or `signal`.
    #[serde(default = "by_signal")]
    pub interrupt_mode: String,
    /// Facts that front ends ask before they start the kernel.
    #[serde(default)]
    pub metadata: Metadata,
}

/// The part of a kernelspec that says what the kernel can do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata {
    /// JupyterLab offers its debugger only where this is true.
    #[serde(default)]
    pub debugger: bool,
    /// The transports' encryptions; a client sends no keys to a kernel that names none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub supported_encryption: Vec<String>,
}

impl KernelSpec {
    /// The spec of the kernel that this command starts, which gets the connection file behind `-f`.
    ///
    /// Interrupts come as messages, because the io thread answers them while native code holds the GIL, where a signal
    /// would wait for the next bytecode.
    pub fn new(command: &[String], metadata: Metadata) -> Self {
        let mut argv = command.to_vec();
        argv.extend(["-f", "{connection_file}"].map(str::to_owned));
        Self {
            argv,
            display_name: DISPLAY_NAME.to_owned(),
            language: "python".to_owned(),
            interrupt_mode: "message".to_owned(),
            metadata,
        }
    }

    /// Whether a client starts a program of this file name.
    pub fn starts(&self, file_name: &str) -> bool {
        self.argv
            .first()
            .is_some_and(|program| Path::new(program).ends_with(file_name))
    }

    /// Whether a client starts a Python that runs a module of this name.
    pub fn runs_module(&self, name: &str) -> bool {
        matches!(&self.argv[..], [_, option, module, ..] if option == "-m" && module == name)
    }
}

impl Metadata {
    /// What a kernel with a debugger, or with CurveZMQ, may promise.
    pub fn new(debugger: bool, curve: bool) -> Self {
        let supported_encryption = if curve {
            vec!["curve".to_owned()]
        } else {
            Vec::new()
        };
        Self {
            debugger,
            supported_encryption,
        }
    }
}

/// What `jupyter_client` assumes where a spec says nothing.
fn by_signal() -> String {
    "signal".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn spec(metadata: Metadata) -> serde_json::Value {
        let command = "/data/kernels/diaphane/diaphane kernel --python /venv/bin/python";
        let command: Vec<String> = command.split(' ').map(str::to_owned).collect();
        let spec = KernelSpec::new(&command, metadata);
        serde_json::to_value(spec).unwrap()
    }

    #[test]
    fn the_json_is_what_jupyter_client_reads() {
        assert_eq!(
            spec(Metadata::new(true, true)),
            json!({
                "argv": [
                    "/data/kernels/diaphane/diaphane", "kernel", "--python", "/venv/bin/python", "-f",
                    "{connection_file}"
                ],
                "display_name": "Python (diaphane)",
                "language": "python",
                "interrupt_mode": "message",
                "metadata": {"debugger": true, "supported_encryption": ["curve"]},
            })
        );
    }

    #[test]
    fn what_the_kernel_cannot_do_is_not_promised() {
        assert_eq!(
            spec(Metadata::new(false, false))["metadata"],
            json!({"debugger": false})
        );
    }

    #[test]
    fn another_kernels_spec_is_read_too() {
        let theirs = json!({"argv": ["python", "-m", "k"], "display_name": "K", "language": "x", "env": {"A": "b"}});
        let theirs: KernelSpec = serde_json::from_value(theirs).unwrap();
        assert!(theirs.starts("python"));
        assert!(!theirs.starts("diaphane"));
        assert!(theirs.runs_module("k") && !theirs.runs_module("diaphane"));
        assert_eq!(theirs.interrupt_mode, "signal");
        assert!(!theirs.metadata.debugger);
    }
}
