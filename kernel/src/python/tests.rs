//! Tests of the sentences that a user reads about a Python that does not fit, and of the facts a real Python gives.

use super::*;
use std::fs;
use std::os::unix::fs::symlink;
use tempfile::TempDir;

/// Facts that this binary accepts.
pub(crate) fn fitting(root: &Path) -> serde_json::Value {
    fs::create_dir_all(root).unwrap();
    serde_json::json!({
        "implementation": "CPython", "version": format!("{BUILT_FOR}.99"), "minor": BUILT_FOR,
        "executable": root.join("python"), "prefix": root, "environment": true,
        "libpython": real_facts().libpython, "libpython_remedy": "run: make one", "missing": [], "ipython": "9.18.1",
        "debugger": false,
    })
}

/// A program that answers as a Python with these facts would.
pub(crate) fn fake(root: &Path, facts: &serde_json::Value) -> PathBuf {
    program(root, &format!("cat <<'END'\n{facts}\nEND"))
}

/// A shell script. Another process writes the file that is run: a descriptor of ours that is open for writing could
/// be inherited by a test that starts a process at the same time, and the kernel refuses to run such a file.
fn program(root: &Path, script: &str) -> PathBuf {
    let (draft, program) = (root.join("draft"), root.join("python"));
    fs::write(&draft, format!("#!/bin/sh\n{script}\n")).unwrap();
    let install = Command::new("install")
        .arg("-m755")
        .args([&draft, &program])
        .status();
    assert!(install.unwrap().success());
    program
}

fn real_facts() -> PythonFacts {
    ask(Path::new(BUILT_WITH)).unwrap()
}

/// The error for a fitting Python whose `fact` is `value`.
fn complaint(fact: &str, value: serde_json::Value) -> String {
    let root = TempDir::new().unwrap();
    let mut facts = fitting(root.path());
    facts[fact] = value;
    check(&fake(root.path(), &facts)).unwrap_err().to_string()
}

#[test]
fn the_python_of_the_build_tells_the_truth_about_itself() {
    let facts = real_facts();
    assert_eq!(facts.implementation, "CPython");
    assert_eq!(facts.minor, BUILT_FOR);
    assert!(facts.version.starts_with(BUILT_FOR));
    assert!(lies_in(&facts.libpython.unwrap(), Path::new(LIBPYTHON_DIR)));
    assert!(Path::new(BUILT_WITH).starts_with(facts.prefix) || !facts.environment);
}

#[test]
fn a_fitting_python_is_accepted() {
    let root = TempDir::new().unwrap();
    let facts = fitting(root.path());
    assert_eq!(check(&fake(root.path(), &facts)).unwrap().minor, BUILT_FOR);
}

#[test]
fn a_python_that_is_not_there_is_named() {
    let said = check(Path::new("/nowhere/python")).unwrap_err().to_string();
    assert_eq!(
        said,
        "there is no Python at /nowhere/python; choose another one by --python PATH"
    );
    let said = find(Path::new("no-such-python")).unwrap_err().to_string();
    assert_eq!(
        said,
        "there is no no-such-python on PATH; choose another one by --python PATH"
    );
}

#[test]
fn a_bare_name_is_looked_up_and_a_link_is_kept() {
    assert!(find(Path::new("sh")).unwrap().ends_with("sh"));
    let root = TempDir::new().unwrap();
    let link = root.path().join("python");
    symlink(BUILT_WITH, &link).unwrap();
    assert_eq!(find(&link).unwrap(), link);
}

#[test]
fn a_program_that_is_no_python_is_quoted() {
    let root = TempDir::new().unwrap();
    let program = program(root.path(), "echo first >&2; echo broken >&2; exit 1");
    assert!(
        check(&program)
            .unwrap_err()
            .to_string()
            .contains("does not work as a Python (broken)")
    );
}

#[test]
fn each_unfit_fact_has_its_own_sentence() {
    assert!(complaint("implementation", "PyPy".into()).contains("diaphane embeds CPython"));
    let other_version = complaint("minor", "3.4".into());
    assert!(
        other_version.contains(&format!("this diaphane was built for Python {BUILT_FOR}")),
        "{other_version}"
    );
    assert!(
        other_version.contains("./install.sh --python /"),
        "{other_version}"
    );
    assert!(
        complaint("libpython", "/bin/sh".into())
            .contains("uses /bin/sh, but this diaphane was built for")
    );
    let old = complaint("ipython", "8.37.0".into());
    assert!(
        old.contains("has IPython 8.37.0") && old.ends_with("-m pip install --upgrade ipython"),
        "{old}"
    );
    let bare = complaint("missing", serde_json::json!(["comm", "ipython"]));
    assert!(
        bare.contains("lacks comm ipython") && bare.ends_with("-m pip install comm ipython"),
        "{bare}"
    );
    let static_only = complaint("libpython", serde_json::Value::Null);
    assert!(
        static_only.ends_with("has no shared libpython, which diaphane embeds; run: make one"),
        "{static_only}"
    );
}

#[test]
fn the_remedy_for_a_missing_library_suits_the_python() {
    let remedy = |base: &str| {
        let moved = format!("import sys; sys.base_prefix = {base:?}\n{FACTS}");
        let output = Command::new(BUILT_WITH)
            .args(["-c", &moved, "libpython_remedy"])
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let conda = TempDir::new().unwrap();
    fs::create_dir(conda.path().join("conda-meta")).unwrap();
    assert_eq!(
        remedy("/usr"),
        format!("run: apt-get install libpython{BUILT_FOR}-dev\n")
    );
    assert!(
        remedy("/home/a/.pyenv/versions/3")
            .contains("PYTHON_CONFIGURE_OPTS=--enable-shared pyenv install")
    );
    assert!(
        remedy("/home/a/.local/share/uv/python/cpython-3")
            .contains("uv python install --reinstall")
    );
    assert!(remedy(conda.path().to_str().unwrap()).contains("conda install"));
    assert!(remedy("/opt/python").contains("./configure --enable-shared"));
}

#[test]
fn an_environment_of_another_minor_is_refused_without_running_it() {
    let root = TempDir::new().unwrap();
    let python = root.path().join("bin/python");
    fs::create_dir(root.path().join("bin")).unwrap();
    fs::write(&python, "").unwrap();
    assert!(
        quick_check(&python).is_ok(),
        "nothing is known, so nothing is said"
    );

    for line in ["version = 3.4.10", "version_info = 3.4.10.final.0"] {
        fs::write(
            root.path().join("pyvenv.cfg"),
            format!("home = /usr/bin\n{line}\n"),
        )
        .unwrap();
        assert!(
            quick_check(&python)
                .unwrap_err()
                .to_string()
                .contains("is Python 3.4")
        );
    }
    fs::write(
        root.path().join("pyvenv.cfg"),
        format!("version = {BUILT_FOR}.1\n"),
    )
    .unwrap();
    assert!(quick_check(&python).is_ok());
    assert!(quick_check(&root.path().join("bin/none")).is_err());
}

#[test]
fn a_link_is_followed_to_the_name_that_says_the_minor() {
    let root = TempDir::new().unwrap();
    fs::write(root.path().join("python3.4"), "").unwrap();
    symlink("python3.4", root.path().join("python")).unwrap();
    assert!(
        quick_check(&root.path().join("python"))
            .unwrap_err()
            .to_string()
            .contains("is Python 3.4")
    );
}

#[test]
fn a_version_is_two_numbers() {
    assert_eq!(minor("3.11.7.final.0").as_deref(), Some("3.11"));
    assert_eq!(minor("3.13t"), None);
    assert_eq!(minor("three"), None);
}
