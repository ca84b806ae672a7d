//! Tests of what `diaphane install` writes and refuses, with a Python that fits by its own word.

use super::*;
use crate::python::tests::{fake, fitting};
use clap::{Command, FromArgMatches};
use std::os::unix::fs::PermissionsExt;
use tempfile::TempDir;

fn parse<T: Args + FromArgMatches>(words: &[&str]) -> T {
    let command = T::augment_args(Command::new("diaphane").no_binary_name(true));
    T::from_arg_matches(&command.try_get_matches_from(words).unwrap()).unwrap()
}

/// Installs into `root`, which is both the prefix and the home of the Python.
fn install_into(root: &Path, more: &[&str]) -> Result<String> {
    install_facts(root, &fitting(root), more)
}

/// The same for a Python that says this about itself.
fn install_facts(root: &Path, facts: &serde_json::Value, more: &[&str]) -> Result<String> {
    let python = fake(root, facts);
    let words = [
        "--prefix",
        root.to_str().unwrap(),
        "--python",
        python.to_str().unwrap(),
    ];
    install(&parse(&[&words[..], more].concat()), Started::Program)
}

fn spec_in(directory: &Path) -> KernelSpec {
    serde_json::from_slice(&fs::read(directory.join(spec::FILE_NAME)).unwrap()).unwrap()
}

#[test]
fn an_installed_kernel_is_whole_and_starts_its_own_copy() {
    let root = TempDir::new().unwrap();
    let said = install_into(root.path(), &[]).unwrap();
    let directory = root.path().join("share/jupyter/kernels/diaphane");
    assert!(
        said.contains(directory.to_str().unwrap()) && said.contains("IPython 9.18.1"),
        "{said}"
    );

    let mut names: Vec<_> = fs::read_dir(&directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(
        names,
        [
            "diaphane",
            "kernel.json",
            "logo-32x32.png",
            "logo-64x64.png",
            "logo-svg.svg"
        ]
    );

    let command = root.path().join("bin/diaphane");
    assert_eq!(fs::read_link(&command).unwrap(), directory.join("diaphane"));

    let spec = spec_in(&directory);
    assert_eq!(Path::new(&spec.argv[0]), directory.join("diaphane"));
    assert_eq!(Path::new(&spec.argv[3]), root.path().join("python"));
    assert_eq!(
        !spec.metadata.supported_encryption.is_empty(),
        zmq::has("curve") == Some(true)
    );
    assert_eq!(
        fs::read(&spec.argv[0]).unwrap(),
        fs::read(own_program()).unwrap()
    );
    assert_ne!(
        fs::metadata(&spec.argv[0]).unwrap().permissions().mode() & 0o111,
        0,
        "the copy can be run"
    );
}

#[test]
fn a_debugger_is_promised_where_debugpy_is() {
    let root = TempDir::new().unwrap();
    let directory = root.path().join("share/jupyter/kernels/diaphane");
    let mut facts = fitting(root.path());
    for debugger in [false, true] {
        facts["debugger"] = debugger.into();
        install_facts(root.path(), &facts, &[]).unwrap();
        assert_eq!(spec_in(&directory).metadata.debugger, debugger);
    }
}

#[test]
fn installing_again_replaces_the_files_and_leaves_an_open_one_alone() {
    let root = TempDir::new().unwrap();
    install_into(root.path(), &[]).unwrap();
    let binary = root.path().join("share/jupyter/kernels/diaphane/diaphane");
    fs::write(&binary, "of a running kernel").unwrap();
    let running = fs::File::open(&binary).unwrap();
    install_into(root.path(), &["--display-name", "Mine"]).unwrap();
    assert_eq!(io::read_to_string(running).unwrap(), "of a running kernel");
    assert!(fs::metadata(&binary).unwrap().len() > 100);
    assert_eq!(spec_in(binary.parent().unwrap()).display_name, "Mine");
}

#[test]
fn two_kernels_can_be_told_apart_in_a_menu() {
    let root = TempDir::new().unwrap();
    let display_name = |more: &[&str]| {
        install_into(root.path(), more).unwrap();
        let name = more.get(1).unwrap_or(&"diaphane");
        spec_in(&root.path().join("share/jupyter/kernels").join(name)).display_name
    };
    assert_eq!(display_name(&[]), "Python (diaphane)");
    assert_eq!(display_name(&["--name", "work"]), "Python (diaphane) work");
    assert_eq!(
        display_name(&["--name", "mine", "--display-name", "Mine"]),
        "Mine"
    );
}

#[test]
fn another_kernel_is_neither_overwritten_nor_removed() {
    let root = TempDir::new().unwrap();
    let theirs = root
        .path()
        .join("share/jupyter/kernels/python3/kernel.json");
    fs::create_dir_all(theirs.parent().unwrap()).unwrap();
    fs::write(
        &theirs,
        r#"{"argv": ["python"], "display_name": "Python 3", "language": "python"}"#,
    )
    .unwrap();
    let said = install_into(root.path(), &["--name", "python3"])
        .unwrap_err()
        .to_string();
    assert!(
        said.contains("holds another kernel; choose another --name"),
        "{said}"
    );
    let prefix = root.path().to_str().unwrap();
    assert!(
        uninstall(
            &parse(&["--prefix", prefix, "--name", "python3"]),
            Started::Program
        )
        .is_err()
    );
    assert!(theirs.exists());
}

#[test]
fn uninstall_removes_what_install_wrote_and_may_be_repeated() {
    let root = TempDir::new().unwrap();
    install_into(root.path(), &["--name", "mine"]).unwrap();
    let args: UninstallArgs = parse(&["--prefix", root.path().to_str().unwrap(), "--name", "mine"]);
    assert!(
        uninstall(&args, Started::Program)
            .unwrap()
            .starts_with("Removed")
    );
    assert!(!root.path().join("share/jupyter/kernels/mine").exists());
    assert!(
        uninstall(&args, Started::Program)
            .unwrap()
            .starts_with("There is no kernel")
    );
}

#[test]
fn a_name_cannot_leave_the_kernels_folder() {
    let root = TempDir::new().unwrap();
    for name in ["", ".", "..", "a/b", "../x", "Ünï"] {
        let said = install_into(root.path(), &["--name", name])
            .unwrap_err()
            .to_string();
        assert!(said.contains("is no kernel name"), "{name}: {said}");
    }
}

#[test]
fn an_environment_is_the_default_place() {
    let root = TempDir::new().unwrap();
    let python = fake(root.path(), &fitting(root.path()));
    let directory = |words: &[&str]| {
        parse::<InstallArgs>(words)
            .place
            .directory(Started::Program)
            .unwrap()
    };
    let in_environment = root.path().join("share/jupyter/kernels/diaphane");
    assert_eq!(
        directory(&["--python", python.to_str().unwrap()]),
        in_environment
    );
    assert_eq!(
        directory(&["--python", python.to_str().unwrap(), "--sys-prefix"]),
        in_environment
    );
    assert_ne!(
        directory(&["--python", python.to_str().unwrap(), "--user"]),
        in_environment
    );
}

#[test]
fn the_users_directory_follows_jupyters_variables() {
    let directory = |set: &[(&str, &str)]| {
        user_data_dir(|name| {
            set.iter()
                .find(|(known, _)| *known == name)
                .map(|(_, value)| OsString::from(value))
        })
    };
    let home = ("HOME", "/home/a");
    assert_eq!(
        directory(&[home]),
        Some(PathBuf::from("/home/a/.local/share/jupyter"))
    );
    assert_eq!(
        directory(&[home, ("XDG_DATA_HOME", "/xdg")]),
        Some(PathBuf::from("/xdg/jupyter"))
    );
    assert_eq!(
        directory(&[home, ("XDG_DATA_HOME", "")]),
        Some(PathBuf::from("/home/a/.local/share/jupyter"))
    );
    assert_eq!(
        directory(&[("XDG_DATA_HOME", "/xdg"), ("JUPYTER_DATA_DIR", "/jupyter")]),
        Some("/jupyter".into())
    );
    assert_eq!(directory(&[]), None);
}

#[test]
fn the_command_goes_with_its_kernel_and_no_other_program_is_replaced() {
    let root = TempDir::new().unwrap();
    let command = root.path().join("bin/diaphane");
    install_into(root.path(), &[]).unwrap();
    let second = install_into(root.path(), &["--name", "second"]).unwrap();
    assert!(second.contains(command.to_str().unwrap()), "{second}");
    let remove = |name: &str| {
        let python = root.path().join("python");
        let words = [
            "--name",
            name,
            "--python",
            python.to_str().unwrap(),
            "--prefix",
        ];
        let words = [&words[..], &[root.path().to_str().unwrap()]].concat();
        uninstall(&parse(&words), Started::Program).unwrap()
    };
    remove("diaphane");
    let kept = root.path().join("share/jupyter/kernels/second/diaphane");
    assert_eq!(fs::read_link(&command).unwrap(), kept);
    remove("second");
    assert!(fs::read_link(&command).is_err());

    fs::write(&command, "another program").unwrap();
    let said = install_into(root.path(), &[]).unwrap();
    assert!(said.contains("another program has its name"), "{said}");
    remove("diaphane");
    assert_eq!(fs::read_to_string(&command).unwrap(), "another program");
}

#[test]
fn the_panel_lies_beside_the_kernels_and_goes_with_the_last_one() {
    let root = TempDir::new().unwrap();
    let prefix = root.path().to_str().unwrap();
    let panel = root
        .path()
        .join("share/jupyter/labextensions/@diaphane/lab");
    let said = install_into(root.path(), &[]).unwrap();
    assert!(said.contains(panel.to_str().unwrap()), "{said}");
    let metadata: serde_json::Value =
        serde_json::from_slice(&fs::read(panel.join("package.json")).unwrap()).unwrap();
    let entry = metadata["jupyterlab"]["_build"]["load"].as_str().unwrap();
    assert!(panel.join(entry).is_file(), "{entry}");

    // What an older one had is not left behind.
    let old = panel.join("static/old.js");
    fs::write(&old, "").unwrap();
    install_into(root.path(), &["--name", "second"]).unwrap();
    assert!(!old.exists());

    let remove = |words: &[&str]| {
        let words = [&["--prefix", prefix][..], words].concat();
        uninstall(&parse(&words), Started::Program).unwrap()
    };
    remove(&[]);
    assert!(panel.exists());
    let said = remove(&["--name", "second"]);
    assert!(
        !panel.exists() && said.contains(panel.to_str().unwrap()),
        "{said}"
    );
}

#[test]
fn the_panel_can_be_installed_alone() {
    let root = TempDir::new().unwrap();
    let panel = root
        .path()
        .join("share/jupyter/labextensions/@diaphane/lab");
    // Where only the server is, there need be no Python that fits.
    let place = ["--lab-only", "--prefix", root.path().to_str().unwrap()];
    install(&parse(&place), Started::Program).unwrap();
    assert!(panel.join("package.json").is_file());
    assert!(!root.path().join("share/jupyter/kernels").exists());
    let remove = || uninstall(&parse(&place), Started::Program).unwrap();
    assert!(remove().starts_with("Removed"));
    assert!(!panel.exists());
    assert!(remove().starts_with("There is no panel"));
}

#[test]
fn a_panel_that_somebody_works_on_is_left_alone() {
    let root = TempDir::new().unwrap();
    let sources = root.path().join("sources");
    let panel = root
        .path()
        .join("share/jupyter/labextensions/@diaphane/lab");
    fs::create_dir_all(&sources).unwrap();
    fs::create_dir_all(panel.parent().unwrap()).unwrap();
    std::os::unix::fs::symlink(&sources, &panel).unwrap();
    install_into(root.path(), &[]).unwrap();
    uninstall(
        &parse(&["--prefix", root.path().to_str().unwrap()]),
        Started::Program,
    )
    .unwrap();
    assert_eq!(fs::read_link(&panel).unwrap(), sources);
    assert_eq!(fs::read_dir(&sources).unwrap().count(), 0);
}
