//! What the events of the linker mean: which calls led to which libraries, and what took how long.

use std::collections::HashMap;

use diaphane_trace::linker_events::{LinkerEvent, What};

/// A call of `dlopen`, or what is known of one that was not seen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct DlopenCall {
    pub at: u64,
    pub tid: i32,
    /// What was asked for; `None` if the call was not seen.
    pub path: Option<String>,
    /// Where the call returns to.
    pub back: Option<usize>,
    /// Whether it only asks for what is loaded already.
    pub only_looks: bool,
    /// The number of the Python request behind it.
    pub request: Option<usize>,
    /// From the call until the first file was found.
    pub search_ns: Option<u64>,
    /// From then until all libraries were mapped.
    pub map_ns: Option<u64>,
    /// From then until the first initialiser: names are bound.
    pub bind_ns: Option<u64>,
    /// From the call until the last initialiser has returned, or else until all were mapped.
    pub total_ns: Option<u64>,
    /// Whether something that is needed was not found, so that all was removed again.
    pub failed: bool,
    settled: Option<u64>,
    /// Whether an initialiser has begun, so that everything was found.
    initialised: bool,
}

/// A library that was mapped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MappedLibrary {
    pub at: u64,
    pub bias: usize,
    /// The path by which it was found.
    pub path: String,
    /// The index of its call.
    pub call: usize,
    /// Whether the call asked for this one.
    pub is_first: bool,
    /// How long its initialisers ran, with what they loaded themselves; `None` if that was not seen.
    pub init_ns: Option<u64>,
    /// When it was unmapped again.
    pub gone_at: Option<u64>,
    map: usize,
}

/// Everything.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Timeline {
    pub calls: Vec<DlopenCall>,
    pub loaded: Vec<MappedLibrary>,
}

impl Timeline {
    /// How long the linker was at work, with the initialisers; `None` where no call was seen to end.
    pub fn linker_ns(&self) -> Option<u64> {
        let mut spans: Vec<(u64, u64)> = self
            .calls
            .iter()
            .filter_map(|call| Some((call.at, call.at + call.total_ns?)))
            .collect();
        spans.sort_unstable();
        let (mut sum, mut until) = (None, 0);
        // An initialiser may load more: what lies inside of another call is part of that.
        for (from, to) in spans {
            let from = from.max(until);
            sum = Some(sum.unwrap_or(0) + to.saturating_sub(from));
            until = until.max(to);
        }
        sum
    }
}

/// What a thread is about to do.
#[derive(Default)]
struct Thread {
    /// The Python request that no call has followed yet.
    request: Option<(usize, u64)>,
    /// The call that has found nothing yet.
    call: Option<usize>,
    /// The calls whose libraries are being mapped or initialised, the innermost last.
    open: Vec<usize>,
    /// The initialisers that run: the library's index and when they began.
    initialisers: Vec<(usize, u64)>,
    /// Whether it has called `dlclose` since it asked for a library.
    closes: bool,
}

impl Timeline {
    /// Reads the events in their order.
    pub fn of(events: &[LinkerEvent]) -> Self {
        let mut timeline = Self::default();
        let mut threads: HashMap<i32, Thread> = HashMap::new();
        for event in events {
            let thread = threads.entry(event.tid).or_default();
            timeline.hear(event, thread);
        }
        timeline
    }

    /// Without events: the libraries that are new, as if each had been asked for by itself or by the first before it.
    pub fn from_list(new: impl Iterator<Item = (usize, String)>) -> Self {
        let loaded = new.map(|(bias, path)| MappedLibrary {
            at: 0,
            bias,
            path,
            call: 0,
            is_first: false,
            init_ns: None,
            gone_at: None,
            map: 0,
        });
        Self {
            calls: Vec::new(),
            loaded: loaded.collect(),
        }
    }

    fn hear(&mut self, event: &LinkerEvent, thread: &mut Thread) {
        let at = event.at;
        match &event.what {
            What::Noted(number) => thread.request = Some((*number, at)),
            What::Closing => thread.closes = true,
            What::Asked { path, flags, back } => {
                thread.closes = false;
                let Some(path) = path else { return };
                self.calls.push(DlopenCall {
                    at,
                    tid: event.tid,
                    path: Some(path.clone()),
                    back: Some(*back),
                    only_looks: flags & libc::RTLD_NOLOAD.cast_unsigned() != 0,
                    request: thread.request.take().map(|(number, _)| number),
                    ..DlopenCall::default()
                });
                thread.call = Some(self.calls.len() - 1);
            }
            What::Adding => self.add(event, thread),
            What::Removing => {
                if let Some(call) = thread.open.last().map(|&index| &mut self.calls[index]) {
                    // Newer linkers complete the list before they see that something is missing.
                    let gives_up = !thread.closes && call.path.is_some() && !call.initialised;
                    call.failed |= call.settled.is_none() || gives_up;
                }
            }
            What::Settled => {
                if let Some(call) = thread.open.last().map(|&index| &mut self.calls[index])
                    && call.settled.is_none()
                {
                    call.settled = Some(at);
                    let began = call.at + call.search_ns.unwrap_or(0);
                    call.map_ns = Some(at - began);
                    call.total_ns = Some(at - call.at);
                }
            }
            What::Mapped {
                map,
                bias,
                name,
                timed,
            } => self.map(event, thread, (*map, *bias), name, *timed),
            What::Unmapped { map } => {
                if let Some(index) = self.position(*map) {
                    self.loaded[index].gone_at = Some(at);
                }
            }
            What::Initialising { map } => self.initialise(at, *map, thread),
            What::Initialised { map } => self.initialised(at, *map, thread),
        }
    }

    /// The first file of a call was found; the call itself was seen if it could be.
    fn add(&mut self, event: &LinkerEvent, thread: &mut Thread) {
        let seen = thread.call.take();
        let index = seen.unwrap_or_else(|| {
            let request = thread.request.take();
            self.calls.push(DlopenCall {
                at: request.map_or(event.at, |(_, at)| at),
                tid: event.tid,
                request: request.map(|(number, _)| number),
                ..DlopenCall::default()
            });
            self.calls.len() - 1
        });
        let call = &mut self.calls[index];
        call.search_ns = seen.map(|_| event.at - call.at);
        // What was open is over, unless this happens in one of its initialisers.
        let depth = match thread.initialisers.last() {
            Some(&(library, _)) => {
                let outer = self.loaded[library].call;
                thread
                    .open
                    .iter()
                    .position(|&open| open == outer)
                    .map_or(0, |at| at + 1)
            }
            None => 0,
        };
        thread.open.truncate(depth);
        thread.open.push(index);
    }

    fn map(
        &mut self,
        event: &LinkerEvent,
        thread: &mut Thread,
        (map, bias): (usize, usize),
        path: &str,
        timed: bool,
    ) {
        let call = thread.open.last().copied().unwrap_or_else(|| {
            // The call began before the recording.
            self.calls.push(DlopenCall {
                at: event.at,
                tid: event.tid,
                ..DlopenCall::default()
            });
            thread.open.push(self.calls.len() - 1);
            self.calls.len() - 1
        });
        let is_first = self.loaded.iter().all(|other| other.call != call);
        self.loaded.push(MappedLibrary {
            at: event.at,
            bias,
            path: path.to_owned(),
            call,
            is_first,
            init_ns: timed.then_some(0),
            gone_at: None,
            map,
        });
    }

    fn initialise(&mut self, at: u64, map: usize, thread: &mut Thread) {
        let Some(library) = self.position(map) else {
            return;
        };
        let call = &mut self.calls[self.loaded[library].call];
        call.initialised = true;
        if let (None, Some(settled)) = (call.bind_ns, call.settled) {
            call.bind_ns = Some(at - settled);
        }
        thread.initialisers.push((library, at));
    }

    fn initialised(&mut self, at: u64, map: usize, thread: &mut Thread) {
        let Some(library) = self.position(map) else {
            return;
        };
        // One that was left by a jump or an exception has no end.
        while let Some((running, began)) = thread.initialisers.pop() {
            if running == library {
                let own = &mut self.loaded[library];
                own.init_ns = own.init_ns.map(|sum| sum + (at - began));
                let call = &mut self.calls[own.call];
                call.total_ns = Some(at - call.at);
                return;
            }
            self.loaded[running].init_ns = None;
        }
    }

    /// The library that has this description now.
    fn position(&self, map: usize) -> Option<usize> {
        let is_it = |one: &MappedLibrary| one.map == map && one.gone_at.is_none();
        self.loaded.iter().rposition(is_it)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(list: Vec<What>) -> Vec<LinkerEvent> {
        let event = |(index, what)| LinkerEvent {
            at: 10 * (index as u64 + 1),
            tid: 1,
            what,
        };
        list.into_iter().enumerate().map(event).collect()
    }

    fn asked(path: &str) -> What {
        What::Asked {
            path: Some(path.into()),
            flags: 2,
            back: 5,
        }
    }

    fn mapped(map: usize) -> What {
        What::Mapped {
            map,
            bias: 4096 * map,
            name: format!("/{map}.so"),
            timed: true,
        }
    }

    #[test]
    fn an_initialiser_may_load_libraries_itself() {
        let timeline = Timeline::of(&events(vec![
            What::Noted(7),
            asked("/1.so"),
            What::Adding,
            What::Settled,
            mapped(1),
            mapped(2),
            What::Initialising { map: 2 },
            asked("3.so"),
            What::Adding,
            What::Settled,
            mapped(3),
            What::Initialising { map: 3 },
            What::Initialised { map: 3 },
            What::Initialised { map: 2 },
            What::Initialising { map: 1 },
            What::Initialised { map: 1 },
            asked("4.so"),
        ]));
        let by_call: Vec<_> = timeline
            .loaded
            .iter()
            .map(|one| (one.call, one.is_first))
            .collect();
        assert_eq!(by_call, [(0, true), (0, false), (1, true)]);
        let init: Vec<_> = timeline.loaded.iter().map(|one| one.init_ns).collect();
        assert_eq!(init, [Some(10), Some(70), Some(10)]);
        let call = &timeline.calls[0];
        assert_eq!(
            (
                call.request,
                call.search_ns,
                call.map_ns,
                call.bind_ns,
                call.total_ns
            ),
            (Some(7), Some(10), Some(10), Some(30), Some(140))
        );
        assert_eq!(
            (timeline.calls[1].request, timeline.calls[1].total_ns),
            (None, Some(50))
        );
        assert_eq!(
            (timeline.calls.len(), timeline.calls[2].total_ns),
            (3, None)
        );
    }

    #[test]
    fn what_is_needed_and_missing_fails_the_call() {
        let timeline = Timeline::of(&events(vec![
            asked("/1.so"),
            What::Adding,
            What::Removing,
            mapped(1),
            What::Settled,
            What::Unmapped { map: 1 },
        ]));
        assert!(timeline.calls[0].failed);
        assert_eq!(timeline.loaded[0].gone_at, Some(60));
    }

    #[test]
    fn what_is_missing_may_be_seen_when_the_list_is_complete() {
        let opened = || vec![asked("/1.so"), What::Adding, mapped(1), What::Settled];
        let given_up = [What::Removing, What::Unmapped { map: 1 }, What::Settled];
        let given_up = opened().into_iter().chain(given_up).collect();
        assert!(Timeline::of(&events(given_up)).calls[0].failed);
        let closed = [What::Closing, What::Removing, What::Unmapped { map: 1 }];
        let closed = opened().into_iter().chain(closed).collect();
        assert!(!Timeline::of(&events(closed)).calls[0].failed);
    }
}
