//! What is left of the outputs that change while a cell runs, where the process ends before they are removed: each one's
//! last words, ready to be sent.

use std::collections::BTreeMap;

use parking_lot::Mutex;

use crate::exit::DEAD;
use crate::outbox::Item;

/// One message an output that is still there, by the output's name.
#[derive(Default)]
pub struct LivePictures(Mutex<BTreeMap<String, Item>>);

impl LivePictures {
    /// This takes the place of an output if nothing else does.
    pub fn keep(&self, name: &str, last: Item) {
        self.0.lock().insert(name.to_owned(), last);
    }

    /// The output is no more.
    pub fn forget(&self, name: &str) {
        self.0.lock().remove(name);
    }

    /// The last words, where nobody holds the lock who died with it.
    #[must_use]
    pub fn take(&self) -> Vec<Item> {
        let left = self.0.try_lock_for(DEAD);
        let left = left.map(|mut left| std::mem::take(&mut *left));
        left.into_iter().flatten().map(|(_, last)| last).collect()
    }
}
