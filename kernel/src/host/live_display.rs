//! An output whose content changes while its cell runs. It never takes the GIL: its messages go to the outbox, for the
//! request that the code ran for where it was opened.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use diaphane_magics::{LiveDisplay, note_thread_names, set_live_displays};
use diaphane_wire::{Outgoing, new_id, publish};
use pyo3::prelude::*;
use serde_json::json;

use super::{magic_requests, parent, threads};
use crate::kernel::Kernel;
use crate::outbox::{Item, Parent};

/// One output.
struct OutputOfCell {
    kernel: Arc<Kernel>,
    parent: Option<Parent>,
    name: String,
    is_shown: AtomicBool,
}

/// Lets recordings show what goes on.
pub(super) fn offer(kernel: &Arc<Kernel>) {
    let kernel = Arc::clone(kernel);
    set_live_displays(move |py| Box::new(OutputOfCell::open(py, &kernel)));
}

impl OutputOfCell {
    fn open(py: Python<'_>, kernel: &Arc<Kernel>) -> Self {
        Self {
            kernel: Arc::clone(kernel),
            parent: parent::request(py, kernel),
            name: new_id(),
            is_shown: AtomicBool::new(false),
        }
    }

    fn item(&self, msg_type: &'static str, page: &str) -> Item {
        // Text only where there is no page: consoles, which never change what they have printed, print nothing.
        let data = match page {
            "" => json!({"text/html": "", "text/plain": ""}),
            page => json!({"text/html": page}),
        };
        Item::Publish {
            parent: self.parent.clone(),
            message: Outgoing::new(msg_type, &publish::Display::named(data, &self.name)),
        }
    }
}

impl LiveDisplay for OutputOfCell {
    fn show(&self, page: &str, last: &str) {
        // Who reads slowly is not sent what is old when it comes.
        if self.kernel.outbox.is_full() {
            return;
        }
        let msg_type = match self.is_shown.swap(true, Ordering::Relaxed) {
            false => "display_data",
            true => "update_display_data",
        };
        let last = self.item("update_display_data", last);
        self.kernel.live_pictures.keep(&self.name, last);
        self.kernel.outbox.push([self.item(msg_type, page)]);
    }

    fn remove(&self) {
        self.kernel.live_pictures.forget(&self.name);
        if self.is_shown.load(Ordering::Relaxed) {
            let nothing = self.item("update_display_data", "");
            self.kernel.outbox.push([nothing]);
        }
    }

    fn ask_for_names(&self) {
        if threads::is_ready() {
            // Without the thread that has Python, names stay those of Linux.
            let _ = magic_requests::with_python(note_thread_names);
        }
    }
}
