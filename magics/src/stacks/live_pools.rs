//! The libraries that keep threads of their own, with what they say about their pools.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use diaphane_sight::linker::libraries::Library;
use diaphane_sight::packages::Package;
use diaphane_sight::proc::cpus::Cpus;
use diaphane_sight::runtimes::pool_libraries;
use diaphane_sight::runtimes::pool_libraries::{Api, Runtime};
use diaphane_sight::threads::{Thread, is_own_thread};
use serde::Serialize;

use crate::stacks::merged::StackFrame;

/// A library that keeps threads of its own.
#[derive(Serialize)]
pub(crate) struct Pool {
    pub library: String,
    pub path: Option<String>,
    package: Option<String>,
    pub runtime: &'static str,
    pub api: Api,
    version: Option<String>,
    corename: Option<String>,
    /// With how many threads it computes, its caller among them.
    pub size: Option<usize>,
    /// How many threads it has now, besides its callers.
    pub live: usize,
    /// How many threads have started some of those: each of them computes too.
    #[serde(skip)]
    pub callers: usize,
    /// The environment variable that sets the size.
    #[serde(skip)]
    pub variable: &'static str,
    /// Its place in the list of libraries.
    #[serde(skip)]
    pub index: usize,
}

/// Finds them all.
pub(crate) fn pools(
    libraries: &[Library],
    packages: &HashMap<usize, Arc<Package>>,
    threads: &[Thread],
) -> Vec<Pool> {
    let owned = |index| {
        let owners = threads.iter().filter_map(|thread| thread.owner.as_ref());
        owners.filter(|owner| owner.library == index).count()
    };
    let callers = |index| {
        let own = |thread: &&Thread| {
            let owner = thread.owner.as_ref();
            owner.is_some_and(|owner| owner.library == index)
        };
        let pool: Vec<&Thread> = threads.iter().filter(own).collect();
        let creators = pool
            .iter()
            .filter_map(|thread| Some(thread.creation?.creator));
        let creators: HashSet<i32> = creators.collect();
        let outside = |tid: &&i32| !pool.iter().any(|thread| thread.tid == **tid);
        creators.iter().filter(outside).count().max(1)
    };
    // OpenMP answers for the thread that asks, and ours computes nothing.
    let is_own = is_own_thread(nix::unistd::gettid().as_raw());
    let known = |(index, library)| Some((index, library, pool_libraries::runtime(library)?));
    let pool = |(index, library, runtime): (usize, &Library, &'static Runtime)| Pool {
        library: library.name.clone(),
        path: library.path.clone(),
        package: packages
            .get(&index)
            .map(|package| format!("{} {}", package.name, package.version)),
        runtime: runtime.name,
        api: runtime.api,
        version: pool_libraries::version(library, runtime),
        corename: pool_libraries::corename(library, runtime),
        size: (!(is_own && runtime.api == Api::OpenMp))
            .then(|| pool_libraries::threads_of(library, runtime))
            .flatten(),
        live: owned(index),
        callers: callers(index),
        variable: runtime.variable,
        index,
    };
    libraries
        .iter()
        .enumerate()
        .filter_map(known)
        .map(pool)
        .collect()
}

impl Pool {
    /// A name for people.
    pub(crate) fn title(&self) -> String {
        format!(
            "{} of {}",
            self.runtime,
            self.package.as_deref().unwrap_or(&self.library)
        )
    }

    /// What a thread of it is called that nobody gave a name.
    pub(crate) fn thread_name(&self) -> String {
        format!("{} pool", self.runtime)
    }

    /// Whether a thread is one of the pool.
    pub(crate) fn owns(&self, thread: &Thread) -> bool {
        thread
            .owner
            .as_ref()
            .is_some_and(|owner| owner.library == self.index)
    }

    /// Whether a call on the stack of a pool's thread is one of the functions in which it waits for work.
    pub(crate) fn waits_in(&self, call: &StackFrame) -> bool {
        let function = call.function.as_deref().unwrap_or_default();
        let waits = match self.api {
            // What a thread computes is the code of the library that called.
            Api::OpenMp => true,
            Api::Blas => function.starts_with("blas_thread_server"),
        };
        waits && call.index == Some(self.index)
    }

    /// With how many threads it computes: what it says, or what is there with those that called.
    pub(crate) fn computes_with(&self) -> usize {
        self.size.unwrap_or(0).max(self.live + self.callers)
    }
}

/// All threads, pools and CPUs in a sentence.
pub(crate) fn summary(threads: usize, pools: &[Pool], cpus: &Cpus) -> String {
    let known =
        |count: Option<usize>| count.map_or("an unknown number".into(), |count| count.to_string());
    let quota = cpus.quota.map_or("no cgroup quota".into(), |quota| {
        format!("cgroup quota {quota:.1}")
    });
    let pools: Vec<String> = pools
        .iter()
        .map(|pool| format!("{} {}", pool.title(), pool.live))
        .collect();
    let pools = match pools.len() {
        0 => "no known native pool".to_owned(),
        _ => format!(
            "native pools (threads besides the caller): {}",
            pools.join(", ")
        ),
    };
    format!(
        "{threads} threads; usable CPUs: {} (online {}, affinity {}, {quota}); {pools}",
        known(cpus.usable),
        known(cpus.online),
        known(cpus.affinity),
    )
}
