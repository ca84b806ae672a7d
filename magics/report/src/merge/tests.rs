//! What merged reports say, of reports that the tests make.

use serde_json::json;

use super::*;
use crate::column::Show;
use crate::report::{Diagnosis, rows};
use crate::view;

const COLUMNS: &[Column] = &[
    Column::new("tid", Show::Number, 0),
    Column::new("name", Show::Text, 0),
    Column::new("state", Show::Text, 1),
    Column::new("cpu_ns", Show::Time, 1),
];

fn report(tid: u32, state: &str, cpu: u64, size: u32) -> Report {
    Report {
        name: "probe",
        columns: COLUMNS,
        rows: rows([
            json!({"tid": tid, "name": format!("pool-{tid}"), "state": state, "cpu_ns": cpu, "base": format!("{tid:#x}")}),
            json!({"tid": tid + 1, "name": "io", "state": "S", "cpu_ns": 5, "base": "0x1"}),
        ])
        .unwrap(),
        facts: fields(json!({
            "checks": ["a"],
            "cpus": {"online": 8, "quota": if size == 2 { json!(0.5) } else { json!(null) }},
            "pools": [{"library": format!("lib{size}.so"), "package": format!("numpy 2.{size}"), "runtime": "BLAS", "size": size, "live": tid}],
        }))
        .unwrap(),
        diagnoses: vec![Diagnosis {
            code: "T001",
            severity: Severity::Warn,
            title: format!("{size} threads in process {tid}."),
            evidence: vec![format!("process {tid}")],
            fix: "Set it.".into(),
        }],
        limits: vec![format!("process {tid} is not known")],
        ..Report::default()
    }
}

fn merged(reports: &[(&str, Result<Report, &str>)]) -> Report {
    let mut merger = Merger::default();
    for (name, one) in reports {
        merger.add(name, one.as_ref().map_err(|why| *why));
    }
    merger.finish().unwrap()
}

/// Four workers, of which `w3` is set up otherwise, and one that says nothing.
fn sample() -> Report {
    merged(&[
        ("w0", Ok(report(1000, "S", 1_000, 8))),
        ("w1", Ok(report(2000, "S", 2_000, 8))),
        ("w2", Ok(report(3000, "S", 3_000, 8))),
        ("w3", Ok(report(4000, "R", 9_000_000_000, 2))),
        ("w4", Err("did not answer within 10 s")),
    ])
}

fn field<'a>(row: &'a Row, key: &str) -> &'a Value {
    row.get(key).unwrap()
}

#[test]
fn rows_that_read_the_same_are_one() {
    let all = sample();
    let told: Vec<(&Value, &Value)> = all
        .rows
        .iter()
        .map(|row| (field(row, "name"), field(row, "worker")))
        .collect();
    let expected = [
        ("pool-*", "w0, w1, w2"),
        ("pool-4000", "w3"),
        ("io", "4 of 4"),
    ];
    let expected = expected.map(|(name, worker)| (json!(name), json!(worker)));
    let expected: Vec<(&Value, &Value)> = expected.iter().map(|(a, b)| (a, b)).collect();
    assert_eq!(told, expected);
    let (first, alone, io) = (&all.rows[0], &all.rows[1], &all.rows[2]);
    assert_eq!(
        field(first, "cpu_ns"),
        &json!(2000),
        "the one in the middle"
    );
    assert_eq!(
        field(first, "tid"),
        &Value::Null,
        "what differs is not known of all"
    );
    assert_eq!(field(first, "workers"), &json!(["w0", "w1", "w2"]));
    assert_eq!(field(alone, "tid"), &json!(4000));
    assert_eq!(field(alone, "base"), &json!("0xfa0"));
    assert_eq!(field(io, "workers"), &Value::Null);
    assert_eq!(field(io, "base"), &json!("0x1"));
}

#[test]
fn an_amount_far_from_the_others_names_its_worker() {
    let cpu = |at: u64| if at == 7 { 9_000_000_000 } else { at };
    let reports: Vec<(String, Report)> = (0..12)
        .map(|at| (format!("w{at}"), report(1000, "S", cpu(at), 8)))
        .collect();
    let mut merger = Merger::default();
    for (name, one) in &reports {
        merger.add(name, Ok(one));
    }
    let all = merger.finish().unwrap();
    let told: Vec<&Value> = all.rows.iter().map(|row| field(row, "worker")).collect();
    assert_eq!(told, [&json!("11 of 12"), &json!("w7"), &json!("12 of 12")]);
    assert_eq!(field(&all.rows[1], "cpu_ns"), &json!(9_000_000_000_u64));
}

#[test]
fn what_differs_is_named() {
    let all = sample();
    let told: Vec<String> = all.facts["differences"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            format!(
                "{} {} {} {}",
                one["fact"], one["worker"], one["value"], one["usual"]
            )
            .replace('"', "")
        })
        .collect();
    assert_eq!(
        told,
        [
            "cpus: quota w3 0.5 none",
            "pools: BLAS of numpy: package w3 numpy 2.2 numpy 2.8",
            "pools: BLAS of numpy: size w3 2 8"
        ]
    );
    assert_eq!(all.facts["checks"], json!(["a"]), "what all have stays");
    let text = view::plain(&all, 100);
    for words in [
        "4 of 5 workers have a report; w4 has none.",
        "set up alike but for 3 things",
        "limit: w4: did not answer within 10 s",
        "limit: 4 of 4: process 1000 is not known",
        "warn T001: w0, w1, w2: 8 threads in process 1000. Set it.",
        "warn T001: w3: 2 threads",
    ] {
        assert!(text.contains(words), "{words}\n{text}");
    }
}

#[test]
fn a_merged_report_is_a_report() {
    let all = sample();
    assert_eq!(all.name, "probe_merged");
    assert!(all.diff(&all).unwrap().rows.is_empty());
    let again = Report::from_stored(&all.to_stored().unwrap()).unwrap();
    assert_eq!(view::plain(&again, 80), view::plain(&all, 80));
    let twice = merged(&[("a", Ok(all)), ("b", Ok(report(1, "S", 1, 8)))]);
    assert!(twice.limits[0].starts_with("a: its report is merged already"));
}

#[test]
fn reports_of_several_magics_have_a_table_each() {
    let other = Report {
        name: "other",
        ..report(5000, "S", 1, 8)
    };
    let all = merged(&[
        ("w0", Ok(report(1000, "S", 1, 8))),
        ("w1", Ok(other.clone())),
        ("w2", Ok(other)),
    ]);
    assert_eq!(all.name, "merged");
    assert_eq!(all.tables.len(), 2);
    let io = all.rows.iter().filter(|row| field(row, "name") == "io");
    let io: Vec<_> = io
        .map(|row| (field(row, "magic"), field(row, "worker")))
        .collect();
    assert_eq!(
        io,
        [
            (&json!("probe"), &json!("w0")),
            (&json!("other"), &json!("2 of 2"))
        ]
    );
}

#[test]
fn a_tree_is_added_up() {
    let tree = view::tree::tests::sample;
    let all = merged(&[("a", Ok(tree())), ("b", Ok(tree()))]);
    let one = tree();
    assert_eq!(all.rows.len(), one.rows.len());
    let time = |row: &Row| row.number("total_ns").unwrap();
    for (both, one) in all.rows.iter().zip(&one.rows) {
        assert_eq!(time(both), 2 * time(one));
        assert_eq!(field(both, "worker"), "2 of 2");
    }
    assert!(view::plain(&all, 80).contains("2 of 2"));
}

#[test]
fn nothing_at_all_is_refused_and_nobody_with_a_report_is_told() {
    assert!(Merger::default().finish().is_err());
    let none = merged(&[("w0", Err("was killed")), ("w1", Err("was killed"))]);
    let text = view::plain(&none, 80);
    assert!(text.contains("None of 2 workers has a report."), "{text}");
    assert!(text.contains("limit: w0, w1: was killed"), "{text}");
}

#[test]
fn a_thousand_workers_fit_on_a_page() {
    let mut merger = Merger::default();
    for at in 0..1000 {
        // As bad as it gets: nobody is like another one.
        let mut one = report(
            1000 + at,
            &format!("S{at}"),
            u64::from(at) * 1_000_000_000,
            at,
        );
        one.limits = vec![format!("limit {at}")];
        merger.add(&format!("tcp://10.0.0.1:{at}"), Ok(&one));
    }
    let html = view::html::report(&merger.finish().unwrap());
    assert!(html.len() < 256 << 10, "{}", html.len());
}

/// The samples of one worker, whose functions are called as no page should read them.
fn sampled(samples: u32, functions: u32) -> Report {
    let stack = |number: u32| {
        let frames: Vec<String> = (0..20)
            .map(|depth| format!("<b>{number}.{depth} [lib&.so]"))
            .collect();
        json!({"tid": 7, "thread": "Main<Thread>", "frames": frames, "count": samples})
    };
    let stacks: Vec<_> = (0..functions).map(stack).collect();
    Report {
        name: "native_prof",
        facts: fields(json!({
            "stacks": stacks, "labels": {"<b>0.0 [lib&.so]": "BLAS"}, "kinds": {"BLAS": samples},
        }))
        .unwrap(),
        ..Report::default()
    }
}

#[test]
fn samples_are_one_picture_with_a_lane_for_each_worker() {
    let mut merger = Merger::default();
    merger.add("w<0>", Ok(&sampled(100, 2)));
    merger.add("w1", Ok(&sampled(50, 1)));
    merger.add("w2", Err("is gone"));
    let page = view::html::document(&merger.finish().unwrap());
    let picture = &page[page.find("<svg").unwrap()..page.find("</svg>").unwrap()];
    assert!(picture.contains("w&lt;0&gt;: 200 samples") && picture.contains("w1: 50 samples"));
    assert!(picture.contains("&lt;b&gt;0.0") && !picture.contains("<b>"));
    assert!(picture.contains("thread Main&lt;Thread&gt;: 50 samples, 100.0 % (thread)"));
    // All of the worker with most samples is as wide as the picture, and of the other one a quarter of that.
    assert!(picture.contains("width=\"939.6\"") && picture.contains("width=\"234.6\""));
}

#[test]
fn the_picture_of_many_workers_stays_small() {
    let mut merger = Merger::default();
    for worker in 0..100 {
        merger.add(&format!("w{worker}"), Ok(&sampled(worker + 1, 40)));
    }
    let report = merger.finish().unwrap();
    let page = view::html::document(&report);
    assert!(page.len() < 96_000, "{}", page.len());
    assert!(page.contains("w99: 4000 samples") && page.contains("w84: "));
    assert!(page.contains("without a lane") && page.contains("w0, w1, w2 and 81 more"));
}
