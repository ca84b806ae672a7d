//! The rules against `ldconfig -p`, and against a family of libraries that gcc makes and the linker loads.

use std::process::Command;

use super::*;
use crate::proc::maps::Maps;

#[test]
fn the_cache_is_what_ldconfig_prints() {
    let output = Command::new("/sbin/ldconfig").arg("-p").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let printed = text.lines().filter_map(|line| {
        let (what, path) = line.trim().split_once(" => ")?;
        let (name, kind) = what.split_once(" (")?;
        (kind.contains("x86-64") || kind.contains("AArch64")).then_some((name, path))
    });
    let cache = Cache::of_this_machine();
    let mut count = 0;
    for (name, path) in printed {
        assert!(cache.paths(name).any(|own| own == path), "{name} {path}");
        count += 1;
    }
    assert!(count > 10);
    assert!(cache.like("libc").any(|(name, _)| name == "libc.so.6"));
    assert!(
        cache
            .like("libc")
            .all(|(name, _)| name.starts_with("libc.so"))
    );
}

#[test]
fn a_damaged_cache_is_none() {
    assert_eq!(Cache::parse(b"nothing"), None);
    let mut raw = MAGIC_AND_COUNT.to_vec();
    assert_eq!(Cache::parse(&raw), Some(Cache::default()));
    raw.extend([0xff; 90]);
    assert_eq!(Cache::parse(&raw), Some(Cache::default()));
}

const MAGIC_AND_COUNT: &[u8] = b"glibc-ld.so.cache1.1\xff\xff\xff\x7f";

fn requester(name: &str, rpath: Option<&str>, runpath: Option<&str>) -> Requester {
    Requester {
        name: name.into(),
        folder: format!("/opt/{name}").into(),
        rpath: rpath.map(str::to_owned),
        runpath: runpath.map(str::to_owned),
    }
}

fn tried(rules: &Rules, chain: &[Requester]) -> Vec<String> {
    let attempts = rules.attempts("libx.so", chain);
    let shown = attempts.iter();
    shown
        .map(|attempt| format!("{}: {}", attempt.rule, attempt.path.display()))
        .collect()
}

#[test]
fn the_order_is_that_of_the_manual() {
    let rules = Rules {
        library_path: vec!["/env".into()],
        defaults: vec!["/lib".into()],
        ..Rules::default()
    };
    let old = requester("a", Some("$ORIGIN/libs:/r"), None);
    let new = requester("b", Some("/ignored"), Some("${ORIGIN}/own"));
    let program = requester("p", Some("/p"), None);
    assert_eq!(
        tried(&rules, &[old.clone(), new.clone(), program.clone()]),
        [
            "RPATH of a: /opt/a/libs/libx.so",
            "RPATH of a: /r/libx.so",
            "RPATH of p: /p/libx.so",
            "LD_LIBRARY_PATH: /env/libx.so",
            "default path: /lib/libx.so",
        ]
    );
    assert_eq!(
        tried(&rules, &[new, old, program]),
        [
            "LD_LIBRARY_PATH: /env/libx.so",
            "RUNPATH of b: /opt/b/own/libx.so",
            "default path: /lib/libx.so",
        ]
    );
    let path = rules.attempts("./libx.so", &[]);
    assert_eq!(path.len(), 1);
    assert_eq!(path[0].rule, Rule::Path);
}

#[test]
fn libc_came_by_the_cache() {
    let libraries = crate::linker::libraries::loaded(&Maps::read().unwrap()).unwrap();
    let found = found_by(&libraries, &Rules::read());
    let index = libraries
        .iter()
        .position(|library| library.name == "libc.so.6")
        .unwrap();
    // Cargo sets LD_LIBRARY_PATH for tests, to folders that hold no libc.
    assert_eq!(found[index], Some(Rule::Cache));
    assert_eq!(found[0], None, "the program is searched by nobody");
}
