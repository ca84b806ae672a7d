//! C003: OpenBLAS computes with kernels for an older processor.

use diaphane_sight::linker::libraries::Library;
use diaphane_sight::runtimes::pool_libraries::{Api, corename, runtime};

use crate::arch::features;
use diaphane_report::{Diagnosis, Severity};

/// What a processor can do, from the least to the most, and OpenBLAS's names of kernels that use no more.
const LEVELS: [(&str, &[&str]); 4] = [
    (
        "SSE",
        &[
            "Generic",
            "Katmai",
            "Coppermine",
            "Northwood",
            "Prescott",
            "Banias",
            "Core2",
            "Penryn",
            "Dunnington",
            "Nehalem",
            "Atom",
            "Nano",
            "Athlon",
            "Opteron",
            "Opteron_SSE3",
            "Barcelona",
            "Bobcat",
        ],
    ),
    (
        "AVX",
        &[
            "Sandybridge",
            "Bulldozer",
            "Piledriver",
            "Steamroller",
            "Excavator",
        ],
    ),
    ("AVX2", &["Haswell", "Zen"]),
    ("AVX-512", &["SkylakeX", "Cooperlake", "SapphireRapids"]),
];

/// Says it of the libraries that a cell called, by their places in the list.
pub(crate) fn slow_kernels(libraries: &[Library], called: &[usize]) -> Vec<Diagnosis> {
    let called = called.iter().filter_map(|&index| libraries.get(index));
    called.filter_map(slow).collect()
}

fn slow(library: &Library) -> Option<Diagnosis> {
    let runtime = runtime(library).filter(|runtime| runtime.api == Api::Blas)?;
    let core = corename(library, runtime)?;
    let used = LEVELS
        .iter()
        .position(|(_, names)| names.iter().any(|name| name.eq_ignore_ascii_case(&core)))?;
    let (has, uses) = (LEVELS[features::vector_level()?].0, LEVELS[used].0);
    (used < features::vector_level()?).then(|| Diagnosis {
        code: "C003",
        severity: Severity::Warn,
        title: format!(
            "{} computes with its {core} kernels, which use {uses} at most; this CPU has {has}.",
            runtime.name
        ),
        evidence: vec![
            library.name.clone(),
            match std::env::var("OPENBLAS_CORETYPE") {
                Ok(value) => format!("OPENBLAS_CORETYPE={value}"),
                Err(_) => "OPENBLAS_CORETYPE is not set".into(),
            },
        ],
        fix: "Start the kernel without OPENBLAS_CORETYPE; if it is not set, a newer OpenBLAS may know this CPU.".into(),
    })
}
