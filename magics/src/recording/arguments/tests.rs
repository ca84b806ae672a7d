//! What NumPy and SciPy hand to BLAS, against the arrays' own addresses and shapes.

use parking_lot::Mutex;
use std::ffi::CString;
use std::process::Command;

use diaphane_sight::linker::libraries;
use diaphane_sight::proc::maps::Maps;
use diaphane_trace::recorder::{self, RecorderPlan};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::diagnoses::FindingsInput;
use super::{ArgumentWatch, CallArguments};
use crate::magic::User;
use crate::recording::hook_plan::{HookOptions, HookPlan};
use diaphane_report::Diagnosis;

const PREPARATION: &str = "
import numpy as np
import scipy.linalg.blas as blas
a = np.ones((20, 30)); b = np.ones((30, 40)); c = np.ones((5, 6), np.float32)
s = np.eye(7) + 1; r = np.ones((7, 2)); z = np.ones((9, 8), complex)
v = np.arange(100.0); w = np.arange(200.0)[::2]
big = np.zeros(100000, np.float32); other = np.zeros(100000)
wide = np.ones((20, 60))[:, ::2]; block = np.ones((50, 60))[:20, :30]
";

/// There is one recorder.
static ALONE: Mutex<()> = Mutex::new(());

/// Runs statements one by one and gives the texts of their calls: the function, and its arguments.
fn record(code: &str) -> (Vec<(String, String)>, Vec<Diagnosis>) {
    let _alone = ALONE.lock();
    Python::attach(|py| {
        let namespace = PyDict::new(py);
        let run = |code: &str| {
            let code = CString::new(code).unwrap();
            py.run(&code, Some(&namespace), Some(&namespace)).unwrap();
        };
        let python = std::env::var("PYO3_PYTHON").unwrap_or_else(|_| "python3".into());
        let site = "import site; print(site.getsitepackages()[0])";
        let site = Command::new(python).args(["-c", site]).output().unwrap();
        let site = String::from_utf8(site.stdout).unwrap();
        run(&format!("import sys; sys.path.append({:?})", site.trim()));
        run(PREPARATION);
        let user = User::new(py, &namespace);
        let wanted = HookOptions {
            covered: Vec::new(),
            libraries: None,
            arguments: true,
        };
        let mut watch = ArgumentWatch::begin(user, &names(code)).unwrap();
        let plan = RecorderPlan {
            capacity: 1 << 20,
            words: true,
            place: None,
        };
        let running = recorder::begin(plan).unwrap();
        let hook_plan = HookPlan::install(user, wanted).unwrap();
        run(code);
        let recording = running.end();
        assert!(watch.stop(user.py).unwrap());
        let watched = watch.end(user).unwrap();
        let arguments = CallArguments::of(&recording.logs, &hook_plan, &watched);
        let libraries = libraries::loaded(&Maps::read().unwrap()).unwrap();
        let findings = FindingsInput::new(&arguments, &watched, &libraries).findings();
        let mut places: Vec<_> = arguments.given.iter().collect();
        places.sort_by_key(|(place, _)| **place);
        let text = |given: &super::Given| {
            let name = match &given.what {
                super::CalledFunction::Call(known, _) => known.signature.name.clone(),
                super::CalledFunction::Loop(about, _) => about.ufunc.clone().unwrap_or_default(),
            };
            (name, given.text(&arguments.lives))
        };
        let texts = places.into_iter().map(|(_, given)| text(given)).collect();
        (texts, findings)
    })
}

/// The variables that code names.
fn names(code: &str) -> Vec<String> {
    let words = code.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
    words.map(str::to_owned).collect()
}

/// The codes of the diagnoses, with their titles.
fn findings(code: &str) -> Vec<String> {
    let found = record(code).1.into_iter();
    found
        .map(|one| format!("{}: {}", one.code, one.title))
        .collect()
}

/// The same without what only moves memory.
fn calls(code: &str) -> Vec<String> {
    let is_computing = |(name, _): &(String, String)| {
        !name.starts_with("mem")
            && !name.starts_with("Py")
            && !name.ends_with("alloc")
            && name != "free"
    };
    let texts = record(code).0.into_iter().filter(is_computing);
    texts
        .map(|(name, text)| format!("{name}({text})"))
        .collect()
}

#[test]
fn blas_gets_the_arrays_themselves() {
    let cases = [
        (
            "d = a @ b",
            vec![
                "matmul(a, b -> d (new))",
                "dgemm(m=20, n=40, k=30, A=a, B=b, C=d (new))",
            ],
        ),
        (
            "e = np.dot(b.T, a.T)",
            vec!["dgemm(transa=T, transb=T, m=40, n=20, k=30, A=b, B=a, C=e (new))"],
        ),
        (
            "f = c @ c.T",
            vec![
                "matmul(c, c -> f (new))",
                "ssyrk(uplo=U, n=5, k=6, A=c, C=f (new))",
            ],
        ),
        (
            "g = np.dot(z, z.T.copy())",
            vec!["zgemm(m=9, n=9, k=8, A=z, B=a temporary, C=g (new))"],
        ),
        (
            "a = np.dot(a, b)",
            vec!["dgemm(m=20, n=40, k=30, A=a, B=b, C=a (new))"],
        ),
        (
            "i = block @ b",
            vec![
                "matmul(block, b -> i (new))",
                "dgemm(m=20, n=40, k=30, A=block, lda=60, B=b, C=i (new))",
            ],
        ),
        (
            "k = np.dot(v[:50], v[50:])",
            vec!["ddot(n=50, X=part of v, Y=v+400)"],
        ),
        (
            "h = np.dot(wide, b)",
            vec!["dgemm(m=20, n=40, k=30, A=a temporary, B=b, C=h (new))"],
        ),
    ];
    for (code, expected) in cases {
        assert_eq!(calls(code), expected, "{code}");
    }
}

#[test]
fn lapack_gets_copies() {
    let solve = calls("x = np.linalg.solve(s, r)");
    let expected = "dgesv(n=7, nrhs=2, A=a copy of s, IPIV=0x";
    let found = solve.iter().find(|call| call.starts_with(expected));
    assert!(found.unwrap().ends_with(", B=a copy of r)"), "{solve:?}");
    assert_eq!(solve[0], "solve(s, r -> x (new))");
    let svd = calls("u = np.linalg.svd(s)");
    assert!(svd[1].starts_with("dgesdd(asks for room to work in, jobz=A, m=7, n=7, "));
    let fortran = calls("t = np.asfortranarray(s); j = blas.dgemm(1.0, t, t)");
    assert_eq!(
        fortran,
        ["dgemm(m=7, n=7, k=7, A=t (new), B=t (new), C=j (new))"]
    );
}

#[test]
fn loops_tell_their_arrays() {
    assert_eq!(
        calls("y = v + w"),
        ["add(n=100, v, w (step 16) -> y (new))"]
    );
    assert_eq!(
        calls("v *= 2"),
        ["multiply(n=100, v, a temporary (one item) -> v)"]
    );
}

#[test]
fn only_what_is_sure_is_remarkable() {
    let by_gaps = "C002: BLAS got a copy of `wide`, because its items are not next to each other in any \
                   direction: strides [480, 16] for items of 8 bytes.";
    let by_rows = "because it lies row by row, and Fortran's functions want columns.";
    let cases = [
        ("d = a @ b", vec![]),
        ("h = (wide + 1) @ b", vec![]),
        ("f = a.astype('d'); h = f @ b", vec![]),
        ("l = np.zeros(100000, 'f') + np.zeros(100000)", vec![]),
        ("o = np.add(np.arange(10).astype(object), 1)", vec![]),
        ("h = wide @ b", vec![by_gaps.to_owned()]),
        (
            "h = wide.T @ wide",
            vec![by_gaps.replace("`wide`", "`wide` 2 times")],
        ),
        ("h = np.dot(wide, b)", vec![by_gaps.to_owned()]),
        (
            "h = c @ b[:6]",
            vec!["C002: BLAS got a copy of `c`, because it is float32, and BLAS computes in float64.".to_owned()],
        ),
        (
            "j = blas.dgemm(1.0, s, r)",
            vec![
                format!("C002: BLAS got a copy of `r`, {by_rows}"),
                format!("C002: BLAS got a copy of `s`, {by_rows}"),
            ],
        ),
        (
            "o = np.add(np.arange(2000).astype(object), 1)",
            vec!["C001: a ufunc ran its loop for Python objects: it called Python once for each of 2000 items.".to_owned()],
        ),
        (
            "for i in range(1200): t = s[:2, :2] @ s[2:4, 2:4]",
            vec!["C004: 1200 calls of dgemm do 16 operations each on average: making the call takes longer than computing.".to_owned()],
        ),
        (
            "l = big + other",
            vec!["C005: add converted `big` from float32 to float64 on the way, in 13 pieces through a buffer.".to_owned()],
        ),
    ];
    for (code, expected) in cases {
        assert_eq!(findings(code), expected, "{code}");
    }
}
