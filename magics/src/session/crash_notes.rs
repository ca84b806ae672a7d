//! What the black box is told when a cell begins: where the user's variables are, and which arrays they hold.

use std::sync::atomic::Ordering;

use diaphane_cpython::variables;
use diaphane_forks::ForkOnce;
use diaphane_sight::crash::black_box;
use diaphane_sight::crash::black_box::{ARRAYS, BlackBox};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::session::array_deltas;

/// A cell begins.
pub(crate) fn note(namespace: &Bound<'_, PyDict>) {
    static FIRST: ForkOnce<()> = ForkOnce::new();
    let Some(own) = black_box::writable() else {
        return;
    };
    FIRST.get_or_init(|| {
        let known = variables::is_known(namespace.py());
        own.places
            .knows_dicts
            .store(u32::from(known), Ordering::Relaxed);
    });
    let address = namespace.as_ptr().addr();
    own.places.namespace.store(address, Ordering::Relaxed);
    note_arrays(own, namespace);
}

fn note_arrays(own: &BlackBox, namespace: &Bound<'_, PyDict>) {
    let held = array_deltas::spans(namespace, ARRAYS);
    let named = held
        .iter()
        .map(|(name, address, length)| (name.as_str(), *address, *length));
    own.note_arrays(named);
}
