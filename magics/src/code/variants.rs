//! The variants of a function for different processors: `DOUBLE_add`, `DOUBLE_add_X86_V3`, `DOUBLE_add_X86_V4`.
//!
//! NumPy compiles a loop several times and binds the best variant that it may use, once, when it is imported. The suffix
//! tells what a variant needs.

use diaphane_sight::code::symbols::Table;
use diaphane_sight::linker::libraries::Library;
use pyo3::prelude::*;

use crate::arch::features::has;
use crate::code::symbolize::CodeLocation;
use diaphane_cpython::modules::imported;

/// The variant without a suffix.
pub(crate) const BASELINE: &str = "baseline";

/// A suffix and whether this processor has what the variant needs. The order is from the least to the most.
struct CpuLevel {
    name: &'static str,
    needs: &'static [&'static str],
}

const LEVELS: &[CpuLevel] = &[
    CpuLevel {
        name: "SSE41",
        needs: &["sse4.1"],
    },
    CpuLevel {
        name: "SSE42",
        needs: &["sse4.2"],
    },
    CpuLevel {
        name: "X86_V2",
        needs: &["sse4.2", "popcnt"],
    },
    CpuLevel {
        name: "FMA3__AVX2",
        needs: &["fma", "avx2"],
    },
    CpuLevel {
        name: "AVX2",
        needs: &["avx2"],
    },
    CpuLevel {
        name: "X86_V3",
        needs: &["avx2", "fma", "bmi1", "bmi2", "f16c", "lzcnt", "movbe"],
    },
    CpuLevel {
        name: "AVX512F",
        needs: &["avx512f"],
    },
    CpuLevel {
        name: "AVX512_SKX",
        needs: &["avx512f", "avx512cd", "avx512bw", "avx512dq", "avx512vl"],
    },
    CpuLevel {
        name: "X86_V4",
        needs: &["avx512f", "avx512cd", "avx512bw", "avx512dq", "avx512vl"],
    },
    CpuLevel {
        name: "AVX512_ICL",
        needs: &[
            "avx512f",
            "avx512vbmi2",
            "avx512bitalg",
            "avx512vpopcntdq",
            "gfni",
            "vaes",
        ],
    },
    CpuLevel {
        name: "AVX512_SPR",
        needs: &["avx512f", "avx512vbmi2", "avx512bitalg", "avx512fp16"],
    },
];

impl CpuLevel {
    fn runs(&self) -> bool {
        self.needs.iter().all(|feature| has(feature))
    }
}

/// The variants of a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Variants {
    /// The one that is bound.
    pub bound: &'static str,
    /// All that the library has, from the least to the most.
    pub available: Vec<&'static str>,
}

/// The variants of the function at a place, if its name shows one or the library has others.
pub(crate) fn variants_of(spot: &CodeLocation<'_>) -> Option<Variants> {
    in_library(&spot.symbol.as_ref()?.name, spot.library)
}

/// The same for a symbol of a library.
pub(crate) fn in_library(symbol: &str, library: &Library) -> Option<Variants> {
    let (stem, bound) = divide(symbol);
    let table = Table::of(library);
    let mut available: Vec<&'static str> = Vec::new();
    let table = table.named(library.image.bias());
    let names: Vec<&str> = table
        .places()
        .filter_map(|(name, ..)| name.strip_prefix(stem))
        .collect();
    if names.contains(&"") {
        available.push(BASELINE);
    }
    let has = |level: &&CpuLevel| {
        names
            .iter()
            .any(|rest| rest.strip_prefix('_') == Some(level.name))
    };
    available.extend(LEVELS.iter().filter(has).map(|level| level.name));
    (available.len() > 1 || bound != BASELINE).then_some(Variants { bound, available })
}

/// Divides a name into what its variants share and the variant.
fn divide(symbol: &str) -> (&str, &'static str) {
    let level = LEVELS.iter().find_map(|level| {
        let stem = symbol.strip_suffix(level.name)?.strip_suffix('_')?;
        Some((stem, level.name))
    });
    level.unwrap_or((symbol, BASELINE))
}

impl Variants {
    /// Those above the bound one that this processor could run.
    pub(crate) fn better(&self) -> Vec<&'static str> {
        let bound = self.available.iter().position(|name| *name == self.bound);
        let above = &self.available[bound.map_or(0, |place| place + 1)..];
        let runs = |name: &&&str| {
            LEVELS
                .iter()
                .any(|level| level.name == **name && level.runs())
        };
        above.iter().filter(runs).copied().collect()
    }
}

impl Variants {
    /// Those of the better ones that NumPy was told not to use.
    pub(crate) fn switched_off(&self, py: Python<'_>) -> PyResult<Vec<&'static str>> {
        let mut off = Vec::new();
        for name in self.better() {
            if is_enabled(py, name)? == Some(false) {
                off.push(name);
            }
        }
        Ok(off)
    }
}

/// Whether NumPy was told not to use a feature; `None` where NumPy does not know it.
fn is_enabled(py: Python<'_>, feature: &str) -> PyResult<Option<bool>> {
    let current = imported(py, "numpy._core._multiarray_umath")?;
    let Some(numpy) = current.or(imported(py, "numpy.core._multiarray_umath")?) else {
        return Ok(None);
    };
    let Some(features) = numpy.getattr_opt("__cpu_features__")? else {
        return Ok(None);
    };
    Ok(features
        .get_item(feature)
        .ok()
        .and_then(|enabled| enabled.extract().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_suffix_is_the_variant() {
        assert_eq!(divide("DOUBLE_add_X86_V3"), ("DOUBLE_add", "X86_V3"));
        assert_eq!(divide("DOUBLE_add"), ("DOUBLE_add", BASELINE));
        assert_eq!(
            divide("DOUBLE_exp_AVX512_SKX"),
            ("DOUBLE_exp", "AVX512_SKX")
        );
        assert_eq!(divide("FLOAT_sin_FMA3__AVX2"), ("FLOAT_sin", "FMA3__AVX2"));
    }

    #[test]
    fn better_variants_are_those_above_the_bound_one() {
        let variants = Variants {
            bound: "AVX512_SPR",
            available: vec![BASELINE, "X86_V3", "AVX512_SPR"],
        };
        assert!(variants.better().is_empty());
    }
}
