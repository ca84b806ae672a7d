//! The libraries that bring pools of native threads, recognised by their file name and by a symbol that they export.
//!
//! A name alone could lie and a symbol alone is not enough, since one library may re-export those of another.
//! Nothing is called in them.

use serde::Serialize;

use crate::libs::Library;

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
    symbols: &'static [&'static str],
}

const RUNTIMES: &[Runtime] = &[
    Runtime {
        api: Api::Blas,
        name: "OpenBLAS",
        variable: "OPENBLAS_NUM_THREADS",
        stems: &["libopenblas", "libscipy_openblas", "libblas"],
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
        symbols: &["MKL_Get_Max_Threads"],
    },
    Runtime {
        api: Api::Blas,
        name: "BLIS",
        variable: "BLIS_NUM_THREADS",
        stems: &["libblis", "libblas"],
        symbols: &["bli_thread_get_num_threads"],
    },
    Runtime {
        api: Api::OpenMp,
        name: "GNU OpenMP",
        variable: "OMP_NUM_THREADS",
        stems: &["libgomp"],
        symbols: &["GOMP_parallel"],
    },
    Runtime {
        api: Api::OpenMp,
        name: "Intel OpenMP",
        variable: "OMP_NUM_THREADS",
        stems: &["libiomp"],
        symbols: &["__kmpc_fork_call"],
    },
    Runtime {
        api: Api::OpenMp,
        name: "LLVM OpenMP",
        variable: "OMP_NUM_THREADS",
        stems: &["libomp"],
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
