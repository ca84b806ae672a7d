//! The replies that need no Python, one struct each.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::PROTOCOL_VERSION;
use crate::connection::{Channel, Connection};
use crate::message::{Message, Outgoing};
use crate::request::reply_type;

/// A reply that is no more than its status.
#[derive(Debug, Serialize)]
pub struct Done {
    status: &'static str,
}

/// The reply that says no more than that it was done.
pub const DONE: Done = Done { status: "ok" };

/// A reply that says what went wrong.
#[derive(Debug, Serialize)]
pub struct Failed {
    status: &'static str,
    /// The name of the exception.
    pub ename: String,
    /// Its message.
    pub evalue: String,
    /// Lines for the user.
    pub traceback: Vec<String>,
}

impl Failed {
    /// An error with one sentence.
    #[must_use]
    pub fn new(ename: &str, evalue: impl Into<String>) -> Self {
        let evalue = evalue.into();
        Self {
            status: "error",
            ename: ename.to_owned(),
            traceback: vec![format!("{ename}: {evalue}")],
            evalue,
        }
    }
}

/// The reply that refuses a request, in the form that the protocol has for its type; `None` where it has no reply.
#[must_use]
pub fn refusal(request: &Message, ename: &str, evalue: impl Into<String>) -> Option<Outgoing> {
    let reply = reply_type(&request.header.msg_type)?;
    let failed = Failed::new(ename, evalue);
    Some(match reply {
        // It has no errors: what cannot be said of the code is unknown.
        "is_complete_reply" => Outgoing::new(
            reply,
            &Failed {
                status: "unknown",
                ..failed
            },
        ),
        "debug_reply" => Outgoing::new(reply, &FailedDebug::new(request, failed)),
        _ => Outgoing::new(reply, &failed),
    })
}

/// A response of the Debug Adapter Protocol, by which a front end knows that a request to the debugger failed.
#[derive(Debug, Serialize)]
struct FailedDebug {
    r#type: &'static str,
    success: bool,
    #[serde(flatten)]
    asked: Asked,
    message: String,
    #[serde(flatten)]
    failed: Failed,
}

/// What of a request to the debugger its response repeats.
#[derive(Debug, Default, Deserialize, Serialize)]
struct Asked {
    #[serde(default, rename(deserialize = "seq", serialize = "request_seq"))]
    seq: i64,
    #[serde(default)]
    command: String,
}

impl FailedDebug {
    fn new(request: &Message, failed: Failed) -> Self {
        Self {
            r#type: "response",
            success: false,
            asked: serde_json::from_slice(&request.content).unwrap_or_default(),
            message: failed.evalue.clone(),
            failed,
        }
    }
}

/// The reply to an execute request that was behind a failed one.
pub const ABORTED: Done = Done { status: "aborted" };

/// The metadata of `execute_reply`, as ipykernel has it.
#[derive(Debug, Serialize)]
pub struct ExecuteMetadata<'a> {
    /// When the cell began, ISO 8601.
    pub started: &'a str,
    /// The session of the kernel.
    pub engine: &'a str,
    /// For ipyparallel: there are no dependencies here that could be missing.
    pub dependencies_met: bool,
    /// As in the reply.
    pub status: &'a str,
    /// What the cell changed under the surface, where the user asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diaphane: Option<&'a RawValue>,
}

/// `magic_reply`
#[derive(Debug, Serialize)]
pub struct MagicReply<'a, T> {
    status: &'static str,
    /// The report by MIME type.
    pub data: &'a T,
}

impl<'a, T> MagicReply<'a, T> {
    /// A report.
    pub fn new(data: &'a T) -> Self {
        Self { status: "ok", data }
    }
}

/// `monitor_reply`
#[derive(Debug, Serialize)]
pub struct MonitorReply<'a, T, P> {
    status: &'static str,
    #[serde(flatten)]
    content: &'a T,
    /// Where there was none it is null: by its name a live view knows that it may ask for one.
    profile: Option<P>,
}

impl<'a, T, P> MonitorReply<'a, T, P> {
    /// What was seen, and how the last profile of the rest of a cell stands.
    pub fn new(content: &'a T, profile: Option<P>) -> Self {
        Self {
            status: "ok",
            content,
            profile,
        }
    }
}

/// `profile_reply`, where no report is asked for
#[derive(Debug, Serialize)]
pub struct ProfileReply<P> {
    status: &'static str,
    profile: Option<P>,
}

impl<P> ProfileReply<P> {
    /// How the profile stands.
    pub fn new(profile: Option<P>) -> Self {
        Self {
            status: "ok",
            profile,
        }
    }
}

/// `shutdown_reply`
#[derive(Debug, Serialize)]
pub struct ShutdownReply {
    status: &'static str,
    restart: bool,
}

impl ShutdownReply {
    /// The kernel goes; `restart` as it was asked.
    #[must_use]
    pub fn new(restart: bool) -> Self {
        Self {
            status: "ok",
            restart,
        }
    }
}

/// `connect_reply`
#[derive(Debug, Serialize)]
pub struct Connect {
    status: &'static str,
    shell_port: u16,
    iopub_port: u16,
    stdin_port: u16,
    control_port: u16,
    hb_port: u16,
}

impl Connect {
    /// The ports of this connection.
    #[must_use]
    pub fn new(connection: &Connection) -> Self {
        Self {
            status: "ok",
            shell_port: connection.port(Channel::Shell),
            iopub_port: connection.port(Channel::Iopub),
            stdin_port: connection.port(Channel::Stdin),
            control_port: connection.port(Channel::Control),
            hb_port: connection.port(Channel::Heartbeat),
        }
    }
}

/// `create_subshell_reply`
#[derive(Debug, Serialize)]
pub struct CreateSubshell {
    status: &'static str,
    subshell_id: String,
}

impl CreateSubshell {
    /// The new subshell has this id.
    #[must_use]
    pub fn new(subshell_id: String) -> Self {
        Self {
            status: "ok",
            subshell_id,
        }
    }
}

/// `list_subshell_reply`
#[derive(Debug, Serialize)]
pub struct ListSubshell {
    status: &'static str,
    subshell_id: Vec<String>,
}

impl ListSubshell {
    /// These are the subshells.
    #[must_use]
    pub fn new(subshell_id: Vec<String>) -> Self {
        Self {
            status: "ok",
            subshell_id,
        }
    }
}

/// `kernel_info_reply`
#[derive(Debug, Serialize)]
pub struct KernelInfo {
    status: &'static str,
    protocol_version: &'static str,
    implementation: &'static str,
    implementation_version: &'static str,
    language_info: LanguageInfo,
    banner: String,
    help_links: Vec<HelpLink>,
    supported_features: &'static [&'static str],
    debugger: bool,
}

#[derive(Debug, Serialize)]
struct LanguageInfo {
    name: &'static str,
    version: String,
    mimetype: &'static str,
    codemirror_mode: CodeMirrorMode,
    pygments_lexer: &'static str,
    nbconvert_exporter: &'static str,
    file_extension: &'static str,
}

#[derive(Debug, Serialize)]
struct CodeMirrorMode {
    name: &'static str,
    version: u8,
}

#[derive(Debug, Serialize)]
struct HelpLink {
    text: &'static str,
    url: String,
}

impl KernelInfo {
    /// A kernel of this version for this Python (`"3.11.7"`), with the named features of the protocol.
    #[must_use]
    pub fn new(version: &'static str, python: &str, features: &'static [&'static str]) -> Self {
        let minor = python.splitn(3, '.').take(2).collect::<Vec<_>>().join(".");
        let link = |text, url: &str| HelpLink {
            text,
            url: url.to_owned(),
        };
        Self {
            status: "ok",
            protocol_version: PROTOCOL_VERSION,
            implementation: "diaphane",
            implementation_version: version,
            language_info: LanguageInfo {
                name: "python",
                version: python.to_owned(),
                mimetype: "text/x-python",
                codemirror_mode: CodeMirrorMode {
                    name: "ipython",
                    version: 3,
                },
                pygments_lexer: "ipython3",
                nbconvert_exporter: "python",
                file_extension: ".py",
            },
            banner: format!(
                "diaphane {version} -- Python {python} you can see through. Type '%diaphane' for what you can ask, \
                 '%quickref' for IPython's help."
            ),
            help_links: vec![
                link(
                    "Python Reference",
                    &format!("https://docs.python.org/{minor}"),
                ),
                link(
                    "IPython Reference",
                    "https://ipython.readthedocs.io/en/stable/",
                ),
                link("NumPy Reference", "https://numpy.org/doc/stable/reference/"),
                link(
                    "SciPy Reference",
                    "https://docs.scipy.org/doc/scipy/reference/",
                ),
                link("Matplotlib Reference", "https://matplotlib.org/stable/"),
                link("pandas Reference", "https://pandas.pydata.org/docs/"),
            ],
            supported_features: features,
            debugger: features.contains(&"debugger"),
        }
    }
}
