//! The places where Python's world and native libraries meet, hooked while a cell runs: calls that leave a library
//! through its table, and the inner loops of ufuncs through theirs.
//!
//! Which functions are called there, and by whom, is read from the recording afterwards; here it is only decided what to
//! hook.

mod choice;
mod loops;

use diaphane_sight::libs::{self, Library};
use diaphane_sight::linker::{self, Counters};
use diaphane_sight::maps::Maps;
use diaphane_trace::recorder::words;
use diaphane_trace::slots::{Hooks, Refused, Site, got};
use pyo3::prelude::*;
use regex::Regex;

use crate::signatures;
use crate::{Error, User};

/// What is to be hooked.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wanted {
    /// Only calls out of libraries whose file name matches.
    pub libraries: Option<Regex>,
    /// Whether the arguments of known functions are kept.
    pub arguments: bool,
}

/// The hooks of one recording; they go when this is dropped.
pub(crate) struct Boundary {
    wanted: Wanted,
    hooks: Option<Hooks>,
    counters: Counters,
    /// How many calls between libraries are hooked.
    pub calls: usize,
    /// How many inner loops are hooked.
    pub loops: usize,
    /// What could not be hooked, in words.
    pub limits: Vec<String>,
    /// Objects whose memory holds a hooked pointer.
    #[allow(dead_code, reason = "it is held and not read")]
    kept: Vec<Py<PyAny>>,
}

impl Boundary {
    /// Places the hooks.
    pub fn place(user: User<'_, '_>, wanted: Wanted) -> Result<Self, Error> {
        let counters = linker::counters();
        let libraries = libs::loaded(&Maps::read()?)?;
        let mut boundary = Self {
            wanted,
            hooks: None,
            counters,
            calls: 0,
            loops: 0,
            limits: Vec::new(),
            kept: Vec::new(),
        };
        let mut sites = boundary.calls_of(&libraries, |_| true);
        sites.extend(boundary.loops_of(user, &libraries)?);
        match Hooks::place(&sites) {
            Ok(hooks) => boundary.hooks = Some(hooks),
            Err(refused) => boundary.refused(refused),
        }
        Ok(boundary)
    }

    /// Hooks what was loaded since, if anything was.
    pub fn extend(&mut self, user: User<'_, '_>) -> Result<(), Error> {
        let now = linker::counters();
        if now == self.counters || self.hooks.is_none() {
            return Ok(());
        }
        let before = std::mem::replace(&mut self.counters, now);
        let libraries = libs::loaded(&Maps::read()?)?;
        let hooked = self
            .hooks
            .as_ref()
            .map(Hooks::addresses)
            .unwrap_or_default();
        // The linker appends what it loads.
        let known = usize::try_from(before.loads - before.unloads).unwrap_or(0);
        let is_new = |index: usize| index >= known || before.unloads != now.unloads;
        let mut sites = self.calls_of(&libraries, is_new);
        sites.extend(self.loops_of(user, &libraries)?);
        sites.retain(|site| !hooked.contains(&site.address));
        if let Some(hooks) = &mut self.hooks
            && let Err(refused) = hooks.extend(&sites)
        {
            self.refused(refused);
        }
        Ok(())
    }

    fn refused(&mut self, refused: Refused) {
        let words = format!("calls between libraries were not seen: {refused}");
        if !self.limits.contains(&words) {
            self.limits.push(words);
        }
    }

    /// The calls that leave the libraries of these places in the list.
    fn calls_of(&mut self, libraries: &[Library], chosen: impl Fn(usize) -> bool) -> Vec<Site> {
        let choice = choice::Choice::of(libraries);
        let mut sites = Vec::new();
        for (index, library) in libraries.iter().enumerate() {
            let matches = |pattern: &Regex| pattern.is_match(&library.name);
            let asked = self.wanted.libraries.as_ref().is_none_or(matches);
            if !chosen(index) || !asked || !choice.is_caller(index) {
                continue;
            }
            let into = |owner: &Library| choice.crosses(index, owner);
            let found = got::calls(library, libraries, into);
            if found.unbound > 0 {
                self.limits.push(format!(
                    "{}: {} functions are bound when they are called first, and were not called yet: not seen",
                    library.name, found.unbound
                ));
            }
            if found.sites.is_empty() && found.shared > 0 {
                self.limits.push(format!(
                    "{}: built so that its calls go through {} slots that code may also compare (-fno-plt): not seen",
                    library.name, found.shared
                ));
            }
            sites.extend(found.sites);
        }
        self.calls += sites.len();
        if self.wanted.arguments {
            signatures::mark(&mut sites, libraries);
        }
        sites
    }

    fn loops_of(&mut self, user: User<'_, '_>, libraries: &[Library]) -> Result<Vec<Site>, Error> {
        let tables = loops::tables(user)?;
        let mut sites = loops::sites(&tables, libraries, self.wanted.arguments);
        if self.wanted.arguments {
            words::learn(loops::recipes(&tables));
        }
        self.kept
            .extend(tables.into_iter().map(|table| table.owner));
        let hooked = self
            .hooks
            .as_ref()
            .map(Hooks::addresses)
            .unwrap_or_default();
        sites.retain(|site| !hooked.contains(&site.address));
        self.loops += sites.len();
        Ok(sites)
    }
}
