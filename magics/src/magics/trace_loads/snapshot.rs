//! The timeline with what else is known of its libraries: packages, rules, who asked.

use std::sync::Arc;

use diaphane_sight::code::symbols;
use diaphane_sight::elf::readable::readable;
use diaphane_sight::linker::libraries::Library;
use diaphane_sight::linker::search::{Rule, Rules, requesters};
use pyo3::prelude::*;

use super::opens::{self, FoundBy, OpenAttempt, Source};
use super::seen::{Created, SeenEvents};
use super::{LoadsWatch, timeline_without_hook};
use crate::error::Error;
use crate::libraries::inventory::{LibraryEntry, items};
use crate::libraries::names::{file_name, short};
use crate::magics::trace_loads::timeline::{DlopenCall, MappedLibrary, Timeline};
use crate::session::import_audit::{Load, Means};

/// Everything that the report is made of.
pub(super) struct LoadsSnapshot {
    pub timeline: Timeline,
    pub items: Vec<LibraryEntry>,
    libraries: Vec<Library>,
    /// For each library of the timeline, its place among the loaded ones, and how it was found.
    places: Vec<Option<usize>>,
    ways: Vec<Option<FoundBy>>,
    requests: Vec<Arc<Load>>,
    opened: Option<Vec<OpenAttempt>>,
    pub created: Option<Created>,
    pub elapsed_ns: u64,
}

impl LoadsSnapshot {
    pub fn of(py: Python<'_>, before: &[Library], watch: &LoadsWatch) -> Result<Self, Error> {
        let items = items(py)?;
        let timeline = match watch.refused {
            None => Timeline::of(&watch.recording.events),
            Some(_) => {
                let after: Vec<&Library> = items.iter().map(|item| &item.facts).collect();
                timeline_without_hook(before, &after)
            }
        };
        let is_it = |item: &LibraryEntry, one: &MappedLibrary| {
            item.facts.image.bias() == one.bias && item.facts.linker_name == one.path
        };
        let place = |one: &MappedLibrary| {
            let still = one.gone_at.is_none();
            items.iter().position(|item| still && is_it(item, one))
        };
        let mut snapshot = Self {
            places: timeline.loaded.iter().map(place).collect(),
            ways: Vec::new(),
            libraries: items.iter().map(|item| item.facts.clone()).collect(),
            timeline,
            items,
            requests: watch.requests.clone(),
            opened: None,
            created: watch.opened.as_ref().map(SeenEvents::created),
            elapsed_ns: watch.recording.lasted,
        };
        let rules = Rules::read();
        let askers = requesters(&snapshot.libraries);
        let ways = 0..snapshot.timeline.loaded.len();
        snapshot.ways = ways
            .map(|index| snapshot.search(index, &rules, &askers))
            .collect();
        snapshot.opened = watch.opened.as_ref().map(|opened| opened.opens(&snapshot));
        Ok(snapshot)
    }

    /// The loaded library that one of the timeline is.
    pub fn item(&self, index: usize) -> Option<&LibraryEntry> {
        self.items.get(self.places[index]?)
    }

    pub fn call(&self, one: &MappedLibrary) -> Option<&DlopenCall> {
        self.timeline.calls.get(one.call)
    }

    /// How the linker's rules lead to a library.
    fn search(&self, index: usize, rules: &Rules, askers: &[Option<usize>]) -> Option<FoundBy> {
        let one = &self.timeline.loaded[index];
        let own = self.places[index]?;
        let library = &self.libraries[own];
        if one.is_first {
            let call = self.call(one)?;
            let name = call.path.as_deref().or(Some(&one.path))?;
            let asker = call.back.and_then(|back| self.at(back));
            return Some(opens::way(name, asker, library, &self.libraries, rules));
        }
        let asker = askers[own]?;
        let mut names = self.libraries[asker].image.needed.iter();
        let name = names
            .find(|name| Some(*name) == library.image.soname.as_ref() || **name == library.name)?;
        Some(opens::way(
            name,
            Some(asker),
            library,
            &self.libraries,
            rules,
        ))
    }

    fn at(&self, address: usize) -> Option<usize> {
        let mut all = self.libraries.iter();
        all.position(|library| library.span.contains(address))
    }

    /// The rule by which a library was found.
    pub fn rule(&self, index: usize) -> Option<String> {
        Some(match self.ways[index].as_ref()?.rule.as_ref()? {
            Rule::Rpath(whose) => format!("RPATH of {}", short(whose)),
            Rule::Runpath(whose) => format!("RUNPATH of {}", short(whose)),
            Rule::Path => "path".into(),
            other => other.to_string(),
        })
    }

    /// What brought a library, in a few words.
    pub fn cause(&self, index: usize) -> Option<String> {
        let one = &self.timeline.loaded[index];
        match self.parent(index) {
            Some(parent) => Some(format!("needed by {}", short(&parent))),
            None => match self.call(one) {
                Some(call) => self.caller(call),
                None => self.item(index)?.loaded_by(&self.items),
            },
        }
    }

    /// The library for which the linker loaded one, unless it was asked for itself.
    pub fn parent(&self, index: usize) -> Option<String> {
        let one = &self.timeline.loaded[index];
        if one.is_first {
            return None;
        }
        let known = self.item(index).and_then(|item| item.requester);
        let known = known.map(|requester| self.items[requester].facts.name.clone());
        known.or_else(|| {
            let mut all = self.timeline.loaded.iter();
            let first = all.find(|other| other.is_first && other.call == one.call)?;
            Some(file_name(&first.path).to_owned())
        })
    }

    /// Who made a call.
    pub fn caller(&self, call: &DlopenCall) -> Option<String> {
        let request = call.request.and_then(|number| self.requests.get(number));
        if let Some(load) = request {
            return Some(match load.means {
                Means::Import => format!("import {}", load.what),
                Means::Ctypes => "ctypes".into(),
            });
        }
        let back = call.back?;
        // The return address may be the first one behind a function that never returns.
        let place = symbols::place(back - 1, &self.libraries)?;
        let library = short(&self.libraries[place.library].name).to_owned();
        Some(match place.symbol {
            Some(symbol) => format!("dlopen by {} of {library}", readable(&symbol.name)),
            None => format!("dlopen by {library}"),
        })
    }

    /// The user's line behind a call, and the modules between.
    pub fn request(&self, call: &DlopenCall) -> Option<&Load> {
        call.request
            .and_then(|number| self.requests.get(number))
            .map(|load| &**load)
    }

    /// The bytes that a library has mapped.
    pub fn bytes(&self, one: &MappedLibrary) -> Option<usize> {
        let index = self
            .timeline
            .loaded
            .iter()
            .position(|other| std::ptr::eq(other, one))?;
        Some(self.item(index)?.facts.size())
    }

    /// The files that were looked for in vain.
    pub fn missed(&self, index: usize) -> Vec<String> {
        match &self.opened {
            Some(opened) => {
                let own = opened
                    .iter()
                    .filter(|open| open.failed && open.library == Some(index));
                own.map(|open| open.path.clone()).collect()
            }
            None => self.ways[index]
                .as_ref()
                .map_or_else(Vec::new, |way| way.missed.clone()),
        }
    }

    /// The calls that loaded nothing and found nothing.
    pub fn failed_calls(&self) -> impl Iterator<Item = &DlopenCall> {
        let loads = |call: &DlopenCall| {
            let index = self
                .timeline
                .calls
                .iter()
                .position(|other| std::ptr::eq(other, call));
            self.timeline
                .loaded
                .iter()
                .any(|one| Some(one.call) == index)
        };
        let is_there = |call: &DlopenCall| {
            let path = call.path.as_deref().unwrap_or_default();
            self.libraries.iter().any(|library| {
                library.image.soname.as_deref() == Some(path)
                    || library.name == path
                    || (path.contains('/')
                        && diaphane_sight::linker::search::is_same(path, library))
            })
        };
        let calls = self.timeline.calls.iter();
        calls.filter(move |call| {
            call.failed
                || !call.only_looks && call.path.is_some() && !loads(call) && !is_there(call)
        })
    }

    /// The files that were tried: those that were seen, or else those that the rules name.
    pub fn opens(&self) -> Vec<OpenAttempt> {
        if let Some(opened) = &self.opened {
            return opened.clone();
        }
        let of = |index: usize| {
            let one = &self.timeline.loaded[index];
            let open = move |path: String, failed: bool| OpenAttempt {
                at: Some(one.at).filter(|at| *at > 0),
                path,
                written: None,
                result: None,
                failed,
                took_ns: None,
                by_linker: true,
                source: Source::Inferred,
                library: Some(index),
            };
            let missed = self
                .missed(index)
                .into_iter()
                .map(move |path| open(path, true));
            missed.chain([open(one.path.clone(), false)])
        };
        (0..self.timeline.loaded.len()).flat_map(of).collect()
    }
}
