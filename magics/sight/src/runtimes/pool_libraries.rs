//! The libraries that bring pools of native threads, recognised by their file name and by a symbol that they export.
//!
//! A name alone could lie and a symbol alone is not enough, since one library may re-export those of another.
//! The size of a pool, the version and the kernels in use are what the library's own documented functions answer; only
//! such are called that read and start nothing.

use serde::Serialize;

use crate::linker::libraries::Library;
use crate::runtimes::getters::{number, text};

/// What a pool is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Api {
    /// Linear algebra.
    Blas,
    /// Parallel regions that a compiler made.
    OpenMp,
}

/// A known library with a pool.
#[derive(Debug, PartialEq, Eq)]
pub struct Runtime {
    /// What the pool is for.
    pub api: Api,
    /// The project's own name.
    pub name: &'static str,
    /// The environment variable that sets the size of the pool, read when the library is loaded.
    pub variable: &'static str,
    stems: &'static [&'static str],
    getters: Getters,
    symbols: &'static [&'static str],
}

/// The documented functions that answer without starting anything; empty where there is none.
#[derive(Debug, PartialEq, Eq)]
struct Getters {
    threads: &'static str,
    version: &'static str,
    corename: &'static str,
}

/// OpenBLAS is built with these names around each of its own.
const AFFIXES: [(&str, &str); 6] = [
    ("", ""),
    ("", "64_"),
    ("", "_64"),
    ("scipy_", ""),
    ("scipy_", "64_"),
    ("scipy_", "_64"),
];

/// These start the runtime at the first call, and are not called.
const UNCALLED: Getters = Getters {
    threads: "",
    version: "",
    corename: "",
};

const RUNTIMES: &[Runtime] = &[
    Runtime {
        api: Api::Blas,
        name: "OpenBLAS",
        variable: "OPENBLAS_NUM_THREADS",
        stems: &["libopenblas", "libscipy_openblas", "libblas"],
        getters: Getters {
            threads: "openblas_get_num_threads",
            version: "openblas_get_config",
            corename: "openblas_get_corename",
        },
        symbols: &[
            "openblas_get_num_threads",
            "openblas_get_num_threads64_",
            "openblas_get_num_threads_64",
            "scipy_openblas_get_num_threads",
            "scipy_openblas_get_num_threads64_",
        ],
    },
    Runtime {
        api: Api::Blas,
        name: "MKL",
        variable: "MKL_NUM_THREADS",
        stems: &["libmkl_rt", "libblas"],
        getters: UNCALLED,
        symbols: &["MKL_Get_Max_Threads"],
    },
    Runtime {
        api: Api::Blas,
        name: "BLIS",
        variable: "BLIS_NUM_THREADS",
        stems: &["libblis", "libblas"],
        getters: Getters {
            threads: "bli_thread_get_num_threads",
            version: "bli_info_get_version_str",
            corename: "",
        },
        symbols: &["bli_thread_get_num_threads"],
    },
    Runtime {
        api: Api::OpenMp,
        name: "GNU OpenMP",
        variable: "OMP_NUM_THREADS",
        stems: &["libgomp"],
        getters: Getters {
            threads: "omp_get_max_threads",
            version: "",
            corename: "",
        },
        symbols: &["GOMP_parallel"],
    },
    Runtime {
        api: Api::OpenMp,
        name: "Intel OpenMP",
        variable: "OMP_NUM_THREADS",
        stems: &["libiomp"],
        getters: UNCALLED,
        symbols: &["__kmpc_fork_call"],
    },
    Runtime {
        api: Api::OpenMp,
        name: "LLVM OpenMP",
        variable: "OMP_NUM_THREADS",
        stems: &["libomp"],
        getters: UNCALLED,
        symbols: &["__kmpc_fork_call"],
    },
];

/// Recognises a library.
pub fn runtime(library: &Library) -> Option<&'static Runtime> {
    RUNTIMES.iter().find(|runtime| {
        runtime
            .stems
            .iter()
            .any(|stem| library.name.starts_with(stem))
            && runtime
                .symbols
                .iter()
                .any(|symbol| library.image.exports(symbol))
    })
}

/// With how many threads a pool computes at most, the caller among them; `None` where nobody can be asked.
pub fn threads_of(library: &Library, runtime: &Runtime) -> Option<usize> {
    let count = number(library, &present(library, runtime.getters.threads)?)?;
    // BLIS answers -1 until somebody sets a number; it then computes with one.
    usize::try_from(count).ok().or(Some(1))
}

/// The version that a library says it has.
pub fn version(library: &Library, runtime: &Runtime) -> Option<String> {
    let said = text(library, &present(library, runtime.getters.version)?)?;
    let mut words = said.split_ascii_whitespace();
    // OpenBLAS answers with its name, its version and how it was built.
    words
        .find(|word| word.starts_with(|first: char| first.is_ascii_digit()))
        .map(str::to_owned)
}

/// For which processor the kernels in use were written, in OpenBLAS's words.
pub fn corename(library: &Library, runtime: &Runtime) -> Option<String> {
    text(library, &present(library, runtime.getters.corename)?)
}

/// The name under which a library exports a function.
fn present(library: &Library, name: &str) -> Option<String> {
    let names = AFFIXES
        .iter()
        .map(|(before, after)| format!("{before}{name}{after}"));
    let mut exported = names.filter(|full| library.image.exports(full));
    exported.next().filter(|_| !name.is_empty())
}
