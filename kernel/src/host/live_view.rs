//! What a guest answers to live views, on the thread of its host that has asked, with the GIL.

use diaphane_magics::{Monitor, end_profile, note_thread_names};
use diaphane_wire::monitor::{
    MonitorRequest, PROFILE_REQUEST, ProfileAction, ProfileRequest, REQUEST,
};
use diaphane_wire::request::reply_type;
use diaphane_wire::{Outgoing, reply};
use parking_lot::Mutex;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use serde::de::DeserializeOwned;

use super::{magic_requests, monitor_requests};

/// Looks at the process for the front ends of a host.
#[pyclass(frozen, module = "_diaphane")]
pub(super) struct LiveView(Mutex<Monitor>);

#[pymethods]
impl LiveView {
    #[new]
    fn new() -> Self {
        Self(Mutex::default())
    }

    /// The type of the reply to a request of this type, and its content; both contents are JSON.
    fn answer(
        &self,
        py: Python<'_>,
        msg_type: &str,
        content: &str,
    ) -> PyResult<(&'static str, String)> {
        let kind = reply_type(msg_type).ok_or_else(|| PyValueError::new_err("no request"))?;
        let refused = |error: serde_json::Error| {
            Outgoing::new(
                kind,
                &reply::Failed::new("InvalidMessage", error.to_string()),
            )
        };
        let message = self.message(py, msg_type, content).unwrap_or_else(refused);
        Ok((kind, String::from_utf8_lossy(&message.content).into_owned()))
    }

    /// Says that nobody asks any more.
    #[allow(clippy::unused_self, reason = "what Python has of it")]
    fn close(&self, py: Python<'_>) {
        py.detach(end_profile);
    }
}

impl LiveView {
    fn message(
        &self,
        py: Python<'_>,
        msg_type: &str,
        content: &str,
    ) -> serde_json::Result<Outgoing> {
        Ok(match msg_type {
            REQUEST => self.look(py, read(content)?),
            PROFILE_REQUEST => match read::<ProfileRequest>(content)?.action {
                ProfileAction::Read => monitor_requests::last_profile().answer(Some(py)),
                action => py.detach(|| monitor_requests::change(action)),
            },
            _ => magic_requests::MagicQuestion::of(read(content)?).answer(Some(py)),
        })
    }

    fn look(&self, py: Python<'_>, request: MonitorRequest) -> Outgoing {
        let mut wants_names = false;
        let message = py.detach(|| {
            let mut monitor = self.0.lock();
            monitor_requests::look(&mut monitor, request, || wants_names = true)
        });
        if wants_names {
            note_thread_names(py);
        }
        message
    }
}

fn read<T: DeserializeOwned>(content: &str) -> serde_json::Result<T> {
    serde_json::from_str(content)
}
