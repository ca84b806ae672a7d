//! The places where Python's world and native libraries meet, hooked while a cell runs: calls that leave a library
//! through its table, and the inner loops of ufuncs through theirs.
//!
//! Which functions are called there, and by whom, is read from the recording afterwards; here it is only decided what to
//! hook.

mod choice;
mod loops;
mod plan;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use diaphane_sight::linker::link_map;
use diaphane_sight::linker::link_map::Counters;
use diaphane_trace::got_hooks::Hooks;
use regex::Regex;

use self::plan::Plan;
use crate::recording::signatures::KnownFunction;

pub(crate) use self::loops::About;
use crate::error::Error;
use crate::magic::User;

/// There is room for so many sets of hooks.
const TOO_OFTEN: &str = "libraries were loaded too often for all calls to be hooked: those of the last ones were not seen";

/// What is to be hooked.
#[derive(Debug, Clone, Default)]
pub(crate) struct HookOptions {
    /// Only calls out of libraries whose file name matches.
    pub libraries: Option<Regex>,
    /// Whether the arguments of known functions are kept.
    pub arguments: bool,
    /// The biases of libraries all of whose functions are hooked otherwise.
    pub covered: Vec<usize>,
}

/// The hooks of one recording; they go when this is dropped.
pub(crate) struct HookPlan {
    wanted: HookOptions,
    hooks: Option<Hooks>,
    counters: Counters,
    /// What is hooked, once for each time that libraries were loaded.
    plans: Vec<Arc<Plan>>,
    /// What could not be hooked, in words.
    pub limits: Vec<String>,
}

impl HookPlan {
    /// Places the hooks.
    pub fn install(user: User<'_, '_>, wanted: HookOptions) -> Result<Self, Error> {
        let counters = link_map::counters();
        let plan = Plan::of(user, &wanted, counters)?;
        let mut hook_plan = Self {
            wanted,
            hooks: None,
            counters,
            limits: plan.limits.clone(),
            plans: Vec::new(),
        };
        if let Some(prepared) = &plan.prepared {
            hook_plan.hooks = Some(Hooks::place(Arc::clone(prepared)));
        }
        hook_plan.plans.push(plan);
        Ok(hook_plan)
    }

    /// Hooks what was loaded since, if anything was. What is hooked already is left alone, since it holds a stub.
    pub fn extend(&mut self, user: User<'_, '_>) -> Result<(), Error> {
        let now = link_map::counters();
        if now == self.counters || self.hooks.is_none() {
            return Ok(());
        }
        self.counters = now;
        let hooked = self.plans.iter().filter_map(|plan| plan.prepared.as_ref());
        let hooked = hooked.flat_map(|prepared| prepared.addresses()).collect();
        let plan = Plan::besides(user, &self.wanted, &hooked)?;
        if let (Some(hooks), Some(prepared)) = (&mut self.hooks, &plan.prepared)
            && !hooks.extend(Arc::clone(prepared))
        {
            self.say(&[TOO_OFTEN.to_owned()]);
        }
        self.say(&plan.limits);
        self.plans.push(plan);
        Ok(())
    }

    /// Keeps what could not be hooked, each sentence once.
    fn say(&mut self, limits: &[String]) {
        for limit in limits {
            if !self.limits.contains(limit) {
                self.limits.push(limit.clone());
            }
        }
    }

    /// Takes the hooks away.
    pub fn remove(&mut self) {
        self.hooks = None;
    }

    /// How many calls between libraries are hooked.
    pub fn calls(&self) -> usize {
        self.plans.iter().map(|plan| plan.calls).sum()
    }

    /// How many inner loops of ufuncs are hooked.
    pub fn loops(&self) -> usize {
        self.plans.iter().map(|plan| plan.loops.len()).sum()
    }

    /// The names by which functions were asked for: an implementation that the linker chose has often none of its own.
    pub fn names(&self) -> HashMap<usize, String> {
        let names = self.plans.iter().flat_map(|plan| plan.names.clone());
        names.collect()
    }

    /// The inner loops of ufuncs.
    pub fn loop_addresses(&self) -> HashSet<usize> {
        let loops = self.plans.iter().flat_map(|plan| plan.loops.clone());
        loops.collect()
    }

    /// The signature of a function whose arguments are kept.
    pub fn known(&self, address: usize) -> Option<KnownFunction> {
        let mut plans = self.plans.iter().rev();
        plans.find_map(|plan| plan.known.get(&address)).copied()
    }

    /// Whether a call of a function came out of its own library, as far as that was hooked.
    pub fn is_inside(&self, address: usize, back: usize) -> bool {
        let mut covered = self.plans.iter().flat_map(|plan| &plan.covered);
        covered.any(|span| span.contains(address) && span.contains(back))
    }

    /// What an inner loop is whose arguments are kept.
    pub fn about_loop(&self, address: usize) -> Option<&About> {
        let mut plans = self.plans.iter().rev();
        plans.find_map(|plan| plan.about_loops.get(&address))
    }
}
