//! What is to be hooked in the libraries that are loaded now. It is worked out once and kept until a library comes or
//! goes, or a ufunc is made.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use diaphane_forks::ProcessLock;
use diaphane_sight::linker::libraries;
use diaphane_sight::linker::libraries::Library;
use diaphane_sight::linker::link_map::Counters;
use diaphane_sight::proc::spans::Span;
use diaphane_trace::got_hooks::{PreparedGotHooks, Site, got};
use diaphane_trace::recorder::argument_capture;
use regex::Regex;

use super::choice::CallerChoice;
use super::{HookOptions, loops};
use crate::error::Error;
use crate::magic::User;
use crate::recording::signatures;

/// All that is known before hooks are placed.
#[derive(Default)]
pub(super) struct Plan {
    pub prepared: Option<Arc<PreparedGotHooks>>,
    /// How many calls between libraries there are.
    pub calls: usize,
    /// The inner loops of ufuncs.
    pub loops: HashSet<usize>,
    /// The names by which libraries ask for functions.
    pub names: HashMap<usize, String>,
    /// The functions whose arguments are kept.
    pub known: signatures::Directory,
    /// What the inner loops are, where their arguments are kept.
    pub about_loops: HashMap<usize, loops::About>,
    /// Where the libraries lie that are hooked otherwise.
    pub covered: Vec<Span>,
    /// What cannot be hooked, in words.
    pub limits: Vec<String>,
    /// The ufuncs, whose memory holds pointers that are hooked.
    owners: Vec<loops::OwnedTable>,
}

/// For which state of the process a plan was made.
#[derive(Clone, PartialEq, Eq)]
struct PlanKey {
    counters: Counters,
    libraries: Option<String>,
    arguments: bool,
    covered: Vec<usize>,
    ufuncs: (usize, Vec<usize>),
}

static KNOWN: ProcessLock<Option<(PlanKey, Arc<Plan>)>> = ProcessLock::new(|| None);

impl Plan {
    /// The plan for this moment.
    pub fn of(
        user: User<'_, '_>,
        wanted: &HookOptions,
        counters: Counters,
    ) -> Result<Arc<Self>, Error> {
        let key = PlanKey {
            counters,
            libraries: wanted.libraries.as_ref().map(ToString::to_string),
            arguments: wanted.arguments,
            covered: wanted.covered.clone(),
            ufuncs: loops::state(user)?,
        };
        let known = || KNOWN.lock();
        if let Some((_, plan)) = known().as_ref().filter(|(of, _)| *of == key) {
            return Ok(Arc::clone(plan));
        }
        let plan = Arc::new(Self::make(wanted, loops::tables(user)?)?);
        // What the old plan held may be Python's, and is given back without the lock.
        let old = known().replace((key, Arc::clone(&plan)));
        drop(old);
        Ok(plan)
    }

    /// What there is besides what is hooked already. It is not kept, since it holds for this recording only.
    pub fn besides(
        user: User<'_, '_>,
        wanted: &HookOptions,
        hooked: &HashSet<usize>,
    ) -> Result<Arc<Self>, Error> {
        let mut tables = loops::tables(user)?;
        // A table that is hooked holds stubs.
        tables.retain(|owned| {
            owned
                .table
                .addresses()
                .all(|address| !hooked.contains(&address))
        });
        Ok(Arc::new(Self::make(wanted, tables)?))
    }

    fn make(wanted: &HookOptions, tables: Vec<loops::OwnedTable>) -> Result<Self, Error> {
        let libraries = libraries::now()?;
        let mut plan = Self::default();
        let mut sites = plan.calls_of(wanted, &libraries);
        plan.calls = sites.len();
        let mut loops = loops::sites(&tables, &libraries, wanted.arguments);
        let covered: Vec<&Library> = libraries
            .iter()
            .filter(|library| wanted.covered.contains(&library.image.bias()))
            .collect();
        plan.covered = covered.iter().map(|library| library.span).collect();
        if wanted.arguments {
            argument_capture::learn(loops::capture_specs(&tables));
            plan.about_loops = loops::about(&tables);
            let inside: signatures::Directory = covered
                .iter()
                .flat_map(|library| signatures::algebra_in(library))
                .collect();
            signatures::learn(&inside);
            plan.known.extend(inside);
        } else {
            let is_covered = |site: &Site| plan.covered.iter().any(|one| one.contains(site.target));
            loops.retain(|site| !is_covered(site));
        }
        plan.loops = loops.iter().map(|site| site.target).collect();
        sites.extend(loops);
        plan.owners = tables;
        match PreparedGotHooks::new(&sites) {
            Ok(prepared) => plan.prepared = Some(Arc::new(prepared)),
            Err(refused) => plan
                .limits
                .push(format!("calls between libraries were not seen: {refused}")),
        }
        Ok(plan)
    }

    /// The calls that leave the libraries that are asked for.
    fn calls_of(&mut self, wanted: &HookOptions, libraries: &[Library]) -> Vec<Site> {
        let choice = CallerChoice::of(libraries);
        let mut sites = Vec::new();
        let mut names = Vec::new();
        let mut unbound = Vec::new();
        let mut shared = Vec::new();
        for (index, library) in libraries.iter().enumerate() {
            let pattern = wanted.libraries.as_ref();
            if !choice.is_caller(index) || pattern.is_some_and(|one| !one.is_match(&library.name)) {
                continue;
            }
            let into = |owner: &Library| {
                choice.crosses(index, owner) && !wanted.covered.contains(&owner.image.bias())
            };
            let found = got::calls(library, libraries, into);
            // What our own library calls is no part of the code that is looked at.
            if found.unbound > 0 && !library.span.contains(limit as *const () as usize) {
                unbound.push(library.name.as_str());
            }
            if found.sites.is_empty() && found.shared > 3 && choice.is_foreign(index) {
                shared.push(library.name.as_str());
            }
            names.extend(found.names);
            sites.extend(found.sites);
        }
        self.limits.extend(limit(
            &unbound,
            "functions that are bound when they are called first were not seen",
        ));
        self.limits.extend(limit(
            &shared,
            "calls through slots that code may also compare (built with -fno-plt) were not seen",
        ));
        if let Some(pattern) = &wanted.libraries
            && wanted.covered.is_empty()
            && !is_any_asked(pattern, &choice, libraries)
        {
            self.limits.push(format!(
                "--libs {:?} matches no library whose calls can be hooked, so none of them were seen; %loaded_libs lists the libraries",
                pattern.as_str()
            ));
        }
        if wanted.arguments {
            let names = names.iter().map(String::as_str);
            self.known = signatures::mark(&mut sites, names, libraries);
        }
        let targets = sites.iter().map(|site| site.target);
        self.names.extend(targets.zip(names));
        sites
    }
}

/// Whether a pattern matches a library out of which calls can be hooked.
fn is_any_asked(pattern: &Regex, choice: &CallerChoice, libraries: &[Library]) -> bool {
    let mut libraries = libraries.iter().enumerate();
    libraries.any(|(index, library)| choice.is_caller(index) && pattern.is_match(&library.name))
}

/// A sentence on libraries, of which the first few are named.
fn limit(names: &[&str], words: &str) -> Option<String> {
    let named = names[..names.len().min(3)].join(", ");
    match names.len() {
        0 => None,
        1..=3 => Some(format!("{named}: {words}")),
        more => Some(format!("{named} and {} more: {words}", more - 3)),
    }
}
