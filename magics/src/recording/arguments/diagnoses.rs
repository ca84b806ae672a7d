//! What is remarkable in the arguments of a cell's calls, said only where it is sure.

mod blas;
mod copies;
mod kernels;
mod loops;

use diaphane_sight::linker::libraries::Library;

use super::{CallArguments, EventId, WatchedArguments};
use crate::recording::signatures::{KnownFunction, SignatureCall};
use diaphane_report::Diagnosis;

pub(crate) use kernels::slow_kernels;

/// What the findings look at.
pub(crate) struct FindingsInput<'a> {
    pub arguments: &'a CallArguments,
    pub watched: &'a WatchedArguments,
    pub libraries: &'a [Library],
    /// The calls in the order of their threads, but for those that a library makes inside itself: they are its own
    /// business.
    places: Vec<EventId>,
}

impl<'a> FindingsInput<'a> {
    /// The input of a cell.
    pub fn new(
        arguments: &'a CallArguments,
        watched: &'a WatchedArguments,
        libraries: &'a [Library],
    ) -> Self {
        let from_outside = arguments.given.iter().filter(|(_, given)| !given.is_inside);
        let mut places: Vec<EventId> = from_outside.map(|(place, _)| *place).collect();
        places.sort_unstable();
        Self {
            arguments,
            watched,
            libraries,
            places,
        }
    }

    /// All that is remarkable.
    pub fn findings(&self) -> Vec<Diagnosis> {
        let mut all = loops::of_objects(self);
        all.extend(copies::before_blas(self));
        all.extend(blas::tiny_calls(self));
        all.extend(loops::through_buffers(self));
        all.extend(blas::one_thread(self));
        all
    }

    /// The calls, each with the number of its thread's log.
    fn calls(&self) -> impl Iterator<Item = (usize, &super::Given)> {
        let given = |place: &EventId| Some((place.0, self.arguments.given.get(place)?));
        self.places.iter().filter_map(given)
    }

    /// The calls of functions with signatures.
    fn functions(&self) -> impl Iterator<Item = (&KnownFunction, &SignatureCall, &super::Given)> {
        self.calls().filter_map(|(_, given)| match &given.what {
            super::CalledFunction::Call(known, call) => Some((known, call, given)),
            super::CalledFunction::Loop(..) => None,
        })
    }
}

/// A number of things: `1 call`, `2,000 calls`.
fn count(count: usize, one: &str) -> String {
    match count {
        1 => format!("1 {one}"),
        many => format!("{many} {one}s"),
    }
}
