//! Which part of the instruction set an instruction belongs to, and whether it works on several items at once.

use iced_x86::{CpuidFeature, EncodingKind, Instruction as Raw};

use crate::arch::instruction::Isa;

/// The part of the instruction set, and whether the instruction works on several items, or moves them.
pub(super) fn classify(raw: &Raw, vector: bool) -> (Isa, bool) {
    let isa = isa(raw, vector);
    (isa, isa != Isa::Scalar && is_packed(raw))
}

/// What the processor must have for an instruction, by the kernel's names; nothing where every processor has it.
pub(super) fn features(raw: &Raw) -> Vec<String> {
    let name = |feature: &CpuidFeature| {
        let name = format!("{feature:?}")
            .to_lowercase()
            .replace("avx512_", "avx512");
        let everywhere = name.starts_with("intel")
            || [
                "x64",
                "cmov",
                "cpuid",
                "fpu",
                "mmx",
                "sse",
                "sse2",
                "multibytenop",
            ]
            .contains(&name.as_str());
        (!everywhere).then(|| match name.as_str() {
            "sha" => "sha_ni".to_owned(),
            "lzcnt" => "abm".to_owned(),
            _ => name,
        })
    };
    raw.cpuid_features().iter().filter_map(name).collect()
}

fn isa(raw: &Raw, vector: bool) -> Isa {
    let newer = |feature: &CpuidFeature| {
        let name = format!("{feature:?}");
        ["AVX2", "FMA", "F16C", "AVX_", "VAES", "VPCLMUL", "GFNI"]
            .iter()
            .any(|start| name.starts_with(start))
    };
    match raw.encoding() {
        EncodingKind::EVEX => Isa::Avx512,
        // Masks belong to AVX-512, though their instructions are encoded as before.
        _ if raw
            .cpuid_features()
            .iter()
            .any(|feature| format!("{feature:?}").starts_with("AVX512")) =>
        {
            Isa::Avx512
        }
        _ if !vector => Isa::Scalar,
        EncodingKind::VEX | EncodingKind::XOP if raw.cpuid_features().iter().any(newer) => {
            Isa::Avx2
        }
        EncodingKind::VEX | EncodingKind::XOP => Isa::Avx,
        _ => Isa::Sse,
    }
}

/// The names of instructions say what they work on: `addsd` on one item, `addpd` and `paddq` on several.
fn is_packed(raw: &Raw) -> bool {
    const SINGLE: &[&str] = &[
        "movd",
        "movq",
        "extractps",
        "insertps",
        "zeroupper",
        "zeroall",
    ];
    const CONVERSIONS: &[&str] = &["sd2", "ss2", "sh2", "2sd", "2ss", "2sh"];
    let name = format!("{:?}", raw.mnemonic()).to_lowercase();
    let plain = name.strip_prefix('v').unwrap_or(&name);
    let ends = |ending: &&str| plain.ends_with(*ending);
    if name.starts_with('k') || SINGLE.contains(&plain) {
        false
    } else if plain.starts_with('p') {
        !plain.starts_with("pextr") && !plain.starts_with("pinsr")
    } else {
        plain.starts_with("broadcast")
            || !["sd", "ss", "sh"].iter().any(ends)
                && !CONVERSIONS.iter().any(|part| plain.contains(part))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arch::instructions::decoded;

    /// Bytes that an assembler made, the instruction, and what it is.
    #[rustfmt::skip]
    const CASES: &[(&[u8], &str, Isa, bool)] = &[
        (&[0xf2, 0x0f, 0x58, 0xc1], "addsd xmm0, xmm1", Isa::Sse, false),
        (&[0x66, 0x0f, 0x58, 0xc1], "addpd xmm0, xmm1", Isa::Sse, true),
        (&[0x66, 0x0f, 0xd4, 0xc1], "paddq xmm0, xmm1", Isa::Sse, true),
        (&[0xc5, 0xf5, 0x58, 0xc2], "vaddpd ymm0, ymm1, ymm2", Isa::Avx, true),
        (&[0xc5, 0xf3, 0x58, 0xc2], "vaddsd xmm0, xmm1, xmm2", Isa::Avx, false),
        (&[0xc5, 0xf5, 0xd4, 0xc2], "vpaddq ymm0, ymm1, ymm2", Isa::Avx2, true),
        (&[0xc4, 0xe2, 0xf5, 0xb8, 0xc2], "vfmadd231pd ymm0, ymm1, ymm2", Isa::Avx2, true),
        (&[0xc4, 0xe2, 0xf1, 0xb9, 0xc2], "vfmadd231sd xmm0, xmm1, xmm2", Isa::Avx2, false),
        (&[0x62, 0xf1, 0xf5, 0x48, 0x58, 0xc2], "vaddpd zmm0, zmm1, zmm2", Isa::Avx512, true),
        (&[0xc5, 0xf8, 0x77], "vzeroupper", Isa::Avx, false),
        (&[0x66, 0x48, 0x0f, 0x6e, 0xc0], "movq xmm0, rax", Isa::Sse, false),
        (&[0x66, 0x0f, 0x6f, 0x00], "movdqa xmm0, [rax]", Isa::Sse, true),
        (&[0xd9, 0xc1], "fld st, st(1)", Isa::Scalar, false),
        (&[0x48, 0x01, 0xd0], "add rax, rdx", Isa::Scalar, false),
    ];

    #[test]
    fn one_item_or_several() {
        for (code, text, isa, packed) in CASES {
            let one = decoded(0, code).next().unwrap();
            let found = (one.text.as_str(), one.isa, one.packed);
            assert_eq!(found, (*text, *isa, *packed));
        }
    }
}
