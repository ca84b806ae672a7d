//! What a client can ask, one struct a request.
//!
//! Fields that a client may leave out have the protocol's default, and unknown fields are passed over:
//! front ends differ in both.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::monitor::{self, LiveRequest, ProfileRequest};
use crate::{Error, Message, part};

/// A request with its content.
#[derive(Debug)]
pub enum Request {
    /// Run a cell.
    Execute(Execute),
    /// Complete the code at the cursor.
    Complete(Complete),
    /// Explain the object at the cursor.
    Inspect(Inspect),
    /// Earlier inputs.
    History(History),
    /// Is this a whole cell?
    IsComplete(IsComplete),
    /// A message of a comm: open, msg or close; with the question that it answers, if it answers one.
    Comm(Option<CommQuestion>),
    /// Which comms are open?
    CommInfo(CommInfo),
    /// What is this kernel?
    KernelInfo,
    /// Where does it listen?
    Connect,
    /// Stop what is running.
    Interrupt,
    /// Go.
    Shutdown(ShutdownRequest),
    /// Processor and memory in use.
    Usage,
    /// A question to a magic.
    Magic(MagicRequest),
    /// A question of a live view.
    Live(LiveRequest),
    /// A message to the debugger.
    Debug,
    /// A new subshell.
    CreateSubshell,
    /// One subshell less.
    DeleteSubshell(Subshell),
    /// The subshells.
    ListSubshell,
    /// The user's answer to `input()`.
    InputReply(InputReply),
    /// A type that this kernel does not know.
    Unknown,
}

impl Request {
    /// Reads the content by the message's type. Python can read every part of such a message.
    ///
    /// # Errors
    /// When a part is no JSON that Python reads, or the content is not what the type asks for.
    pub fn parse(message: &Message) -> Result<Self, Error> {
        part::check("parent header", &message.raw_parent)?;
        part::check("metadata", &message.metadata)?;
        part::check("content", &message.content)?;
        Ok(match message.header.msg_type.as_str() {
            "execute_request" => Self::Execute(content(message)?),
            "complete_request" => Self::Complete(content(message)?),
            "inspect_request" => Self::Inspect(content(message)?),
            "history_request" => Self::History(content(message)?),
            "is_complete_request" => Self::IsComplete(content(message)?),
            "comm_open" => content::<CommOpen>(message).map(|_| Self::Comm(None))?,
            "comm_msg" | "comm_close" => Self::Comm(content::<CommMessage>(message)?.question()),
            "comm_info_request" => Self::CommInfo(content(message)?),
            "kernel_info_request" => Self::KernelInfo,
            "connect_request" => Self::Connect,
            "interrupt_request" => Self::Interrupt,
            "shutdown_request" => Self::Shutdown(content(message)?),
            "usage_request" => Self::Usage,
            "magic_request" => Self::Magic(content(message)?),
            monitor::REQUEST => Self::Live(LiveRequest::Monitor(content(message)?)),
            monitor::PROFILE_REQUEST => {
                let request: ProfileRequest = content(message)?;
                Self::Live(LiveRequest::Profile(request.action))
            }
            "debug_request" => Self::Debug,
            "create_subshell_request" => Self::CreateSubshell,
            "delete_subshell_request" => Self::DeleteSubshell(content(message)?),
            "list_subshell_request" => Self::ListSubshell,
            "input_reply" => Self::InputReply(content(message)?),
            _ => Self::Unknown,
        })
    }

    /// Whether it is for the control channel only: its reply may come long after it, and later ones before it.
    #[must_use]
    pub fn is_for_control(&self) -> bool {
        matches!(
            self,
            Self::Debug
                | Self::Live(_)
                | Self::CreateSubshell
                | Self::DeleteSubshell(_)
                | Self::ListSubshell
        )
    }
}

/// The type of the reply to a request of this type; `None` where the protocol has no reply.
#[must_use]
pub fn reply_type(msg_type: &str) -> Option<&'static str> {
    const REPLIES: [&str; 18] = [
        "execute_reply",
        "complete_reply",
        "inspect_reply",
        "history_reply",
        "is_complete_reply",
        "comm_info_reply",
        "kernel_info_reply",
        "connect_reply",
        "interrupt_reply",
        "shutdown_reply",
        "usage_reply",
        "magic_reply",
        "monitor_reply",
        "profile_reply",
        "debug_reply",
        "create_subshell_reply",
        "delete_subshell_reply",
        "list_subshell_reply",
    ];
    let stem = msg_type.strip_suffix("_request")?;
    REPLIES
        .into_iter()
        .find(|reply| reply.strip_suffix("_reply") == Some(stem))
}

fn content<'a, T: Deserialize<'a>>(message: &'a Message) -> Result<T, Error> {
    serde_json::from_slice(&message.content).map_err(|source| Error::Json {
        part: "content",
        source,
    })
}

/// `execute_request`
#[derive(Debug, Deserialize)]
pub struct Execute {
    /// The cell.
    pub code: String,
    /// Publish nothing of its own.
    #[serde(default)]
    pub silent: bool,
    /// Count it and keep it in the history; without a word, as `silent` says.
    pub store_history: Option<bool>,
    /// Expressions to evaluate afterwards, by name.
    pub user_expressions: Option<Map<String, Value>>,
    /// May the cell ask for input?
    #[serde(default)]
    pub allow_stdin: bool,
    /// Abort the requests behind it when it fails.
    #[serde(default = "yes")]
    pub stop_on_error: bool,
}

/// `complete_request`
#[derive(Debug, Deserialize)]
pub struct Complete {
    /// The cell.
    pub code: String,
    /// The cursor, in code points; at the end if it is not said.
    pub cursor_pos: Option<usize>,
}

/// `inspect_request`
#[derive(Debug, Deserialize)]
pub struct Inspect {
    /// The cell.
    pub code: String,
    /// The cursor, in code points; at the end if it is not said.
    pub cursor_pos: Option<usize>,
    /// 0 for the documentation, 1 for the source too.
    #[serde(default)]
    pub detail_level: u8,
    /// Sections to leave out.
    #[serde(default)]
    pub omit_sections: Vec<String>,
}

/// `history_request`
#[derive(Debug, Deserialize)]
pub struct History {
    /// `tail`, `range` or `search`.
    pub hist_access_type: String,
    /// With outputs.
    #[serde(default)]
    pub output: bool,
    /// As typed, not as transformed.
    #[serde(default = "yes")]
    pub raw: bool,
    /// The session; 0 is this one, negative ones count backwards.
    #[serde(default)]
    pub session: i64,
    /// The first line of a range.
    #[serde(default)]
    pub start: i64,
    /// The line behind the last one of a range.
    pub stop: Option<i64>,
    /// How many of the latest.
    pub n: Option<u64>,
    /// The glob to search for.
    pub pattern: Option<String>,
    /// Leave out repetitions.
    #[serde(default)]
    pub unique: bool,
}

/// `is_complete_request`
#[derive(Debug, Deserialize)]
pub struct IsComplete {
    /// The cell.
    pub code: String,
}

/// `comm_info_request`
#[derive(Debug, Deserialize)]
pub struct CommInfo {
    /// Only comms with this target.
    pub target_name: Option<String>,
}

/// What `comm_open` must have; the rest is its target's.
#[derive(Debug, Deserialize)]
#[allow(dead_code, reason = "the fields are read by Python")]
struct CommOpen {
    comm_id: String,
    target_name: String,
}

/// What a message of an open comm must have.
#[derive(Debug, Deserialize)]
struct CommMessage {
    comm_id: String,
    #[serde(default)]
    data: Value,
}

impl CommMessage {
    fn question(self) -> Option<CommQuestion> {
        let id = self.data["content"]["id"].as_str()?.to_owned();
        let comm = self.comm_id;
        Some(CommQuestion { comm, id })
    }
}

/// What was sent on a comm and awaits an answer with the same id.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CommQuestion {
    /// The id of the comm.
    pub comm: String,
    /// The id that the content of both has.
    pub id: String,
}

/// `shutdown_request`
#[derive(Debug, Deserialize)]
pub struct ShutdownRequest {
    /// A new kernel will follow.
    #[serde(default)]
    pub restart: bool,
}

/// `magic_request`: a line magic, asked while a cell may run. This kernel's own addition to the protocol.
#[derive(Clone, Debug, Deserialize)]
pub struct MagicRequest {
    /// The name after the percent sign.
    pub name: String,
    /// What stands behind it on the line.
    #[serde(default)]
    pub line: String,
}

/// `delete_subshell_request`
#[derive(Debug, Deserialize)]
pub struct Subshell {
    /// Which one.
    pub subshell_id: String,
}

/// `input_reply`
#[derive(Debug, Deserialize)]
pub struct InputReply {
    /// What the user typed.
    #[serde(default)]
    pub value: String,
}

fn yes() -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Header;

    fn parse(msg_type: &str, content: &str) -> Result<Request, Error> {
        let header = Header {
            msg_type: msg_type.to_owned(),
            ..Header::default()
        };
        Request::parse(&Message {
            header,
            content: content.as_bytes().to_vec(),
            ..Message::default()
        })
    }

    #[test]
    fn an_execute_request_needs_only_its_code() {
        let Ok(Request::Execute(execute)) =
            parse("execute_request", r#"{"code":"1","new_field":[]}"#)
        else {
            panic!("not an execute request");
        };
        assert!(execute.stop_on_error && !execute.silent && !execute.allow_stdin);
        assert_eq!(execute.store_history, None);
        let expressions = r#"{"code":"1","user_expressions":[1]}"#;
        let error = parse("execute_request", expressions).unwrap_err();
        assert!(error.to_string().contains("expected a map"), "{error}");
        let error = parse("execute_request", "{}").unwrap_err();
        assert!(
            error.to_string().contains("missing field `code`"),
            "{error}"
        );
    }

    #[test]
    fn a_null_is_a_field_left_out() {
        let content = r#"{"hist_access_type":"tail","n":null,"pattern":null,"stop":null}"#;
        assert!(matches!(
            parse("history_request", content),
            Ok(Request::History(_))
        ));
        assert!(matches!(
            parse("comm_info_request", r#"{"target_name":null}"#),
            Ok(Request::CommInfo(_))
        ));
    }

    #[test]
    fn a_message_of_a_comm_names_it() {
        let open = r#"{"comm_id":"c","target_name":"t","data":{"any":[]}}"#;
        assert!(matches!(parse("comm_open", open), Ok(Request::Comm(None))));
        assert!(matches!(
            parse("comm_close", r#"{"comm_id":"c"}"#),
            Ok(Request::Comm(None))
        ));
        let answer = r#"{"comm_id":"c","data":{"content":{"id":"q","value":1}}}"#;
        assert!(matches!(
            parse("comm_msg", answer),
            Ok(Request::Comm(Some(CommQuestion { comm, id }))) if (&*comm, &*id) == ("c", "q")
        ));
        for data in ["[]", "{\"content\":7}", "null"] {
            let other = format!(r#"{{"comm_id":"c","data":{data}}}"#);
            assert!(matches!(parse("comm_msg", &other), Ok(Request::Comm(None))));
        }
        for wrong in [
            r#"{"comm_id":"c"}"#,
            r#"{"comm_id":"c","target_name":{}}"#,
            r#"{"comm_id":1,"target_name":"t"}"#,
        ] {
            parse("comm_open", wrong).unwrap_err();
        }
        parse("comm_msg", "{}").unwrap_err();
    }

    #[test]
    fn a_reply_is_named_after_its_request() {
        assert_eq!(reply_type("execute_request"), Some("execute_reply"));
        assert_eq!(reply_type("comm_msg"), None);
        assert_eq!(reply_type("frobnicate_request"), None);
    }

    #[test]
    fn an_unknown_type_is_no_error() {
        assert!(matches!(
            parse("frobnicate_request", "{}"),
            Ok(Request::Unknown)
        ));
    }
}
