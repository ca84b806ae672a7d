//! Screens as text, at the sizes that terminals have.

use std::time::Duration;

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use serde_json::json;

use super::{frame, plain};
use crate::cli::top::model::Model;
use crate::cli::top::source::MonitorAnswer;
use crate::cli::top::watcher::News;

/// An answer so many seconds after the first one.
fn answer(second: u64) -> MonitorAnswer {
    let call = |function: &str, library: &str| json!({"function": function, "library": library, "kind": "native", "place": null});
    let at_ns = 100_000_000_000 + second * 1_000_000_000;
    let raw = json!({
        "at_ns": at_ns, "epoch": 3, "rss": 103_400_000 + second * 1_000_000, "cpu_ns": second * 1_240_000_000,
        "usable_cpus": 2, "gil": 7, "cell": {"count": 3, "since_ns": 36_000_000_000_u64},
        "threads": [
            [7, "R", second * 620_000_000, null],
            [8, "S", 5, "epoll_wait"],
            [9, "R", second * 600_000_000, null],
            [10, "S", 0, "GIL"],
        ],
        "names": {
            "7": {"name": "MainThread", "owner": null, "package": null, "kind": "main"},
            "8": {"name": "diaphane-io", "owner": "diaphane", "package": null, "kind": "kernel"},
            "9": {"name": "OpenBLAS pool", "owner": "libopenblas.so", "package": "numpy", "kind": "pool"},
            "10": {"name": "a worker with a name that is long", "owner": "libpython3.11.so.1.0", "package": null, "kind": "user"},
        },
        "pools": [{"name": "OpenBLAS", "library": "libopenblas-6cdc3b4a.so", "threads": 4}],
        "stack": [
            call("dgemm_kernel", "libopenblas-6cdc3b4a.so"),
            call("DOUBLE_matmul", "_multiarray_umath.cpython-311-x86_64-linux-gnu.so"),
            {"function": "<module>", "library": null, "kind": "python", "place": "In[3]:2"},
        ],
        "why": "The main thread computes in dgemm_kernel of libopenblas at In[3]:2; an interrupt takes effect when that call returns.",
    });
    MonitorAnswer::of(raw).unwrap()
}

fn model() -> Model {
    let title = "a.ipynb  process 7".to_owned();
    let mut model = Model::titled(title, true, 7, Duration::from_secs(1));
    for second in 0..4 {
        model.take(News::Seen(Box::new(answer(second))));
    }
    model
}

fn press(model: &mut Model, code: KeyCode) {
    model.press(KeyEvent::new(code, KeyModifiers::NONE));
}

fn screen(model: &Model, columns: u16, rows: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(columns, rows)).unwrap();
    terminal.draw(|screen| frame(model, screen)).unwrap();
    let buffer = terminal.backend().buffer();
    let row = |row: u16| -> String {
        (0..columns)
            .map(|column| buffer[(column, row)].symbol())
            .collect()
    };
    let lines: Vec<String> = (0..rows).map(|at| row(at).trim_end().to_owned()).collect();
    lines.join("\n")
}

#[test]
fn a_cell_that_computes_on_eighty_columns() {
    let expected = r#"
 a.ipynb  process 7                                                   every 1 s
 GIL   MainThread                           ▆▆▆▆  held at 4 of the last 4 looks

 In[3] runs                                                       for 1 min 7 s
 The main thread computes in dgemm_kernel of libopenblas at In[3]:2; an
 interrupt takes effect when that call returns.
 ▌ dgemm_kernel                                                    libopenblas
 ▌ DOUBLE_matmul                                             _multiarray_umath
 │ <module>                                                            In[3]:2

 CPU  124 % of 200 %                     Memory  106 MB
                                   ▅▅▅                                    ▂▃▅▆
 Pool  OpenBLAS 4 threads for 2 CPUs: they take the CPUs from each other

   Thread                 Owner                  CPU %  State
 ▸ MainThread  GIL        main thread    █████      62  runs
   OpenBLAS pool          numpy          ████▊      60  runs
   a worker with a name…  libpython3.11              0  waits for the GIL
   The kernel's own: 1, 0 % (t shows them)




 s stack  t threads  l libraries  i interrupt  p pause  ? help  q quit
"#;
    assert_eq!(screen(&model(), 80, 24), expected.trim_matches('\n'));
}

#[test]
fn no_size_is_too_small() {
    let mut model = model();
    for key in ['s', 's', 't', 't', 'l', 'l', '?', '?', 'i'] {
        for (columns, rows) in [(1, 1), (2, 2), (7, 3), (20, 5), (60, 20), (300, 100)] {
            screen(&model, columns, rows);
        }
        press(&mut model, KeyCode::Char(key));
    }
    assert_eq!(model.prompt.as_deref(), Some("interrupt cell In[3]? y/n"));
}

#[test]
fn what_matters_stays_on_a_small_terminal() {
    let shown = screen(&model(), 60, 20);
    for part in [
        "MainThread",
        "In[3] runs",
        "dgemm_kernel",
        "CPU  124 %",
        "waits for the GIL",
        "q quit",
    ] {
        assert!(shown.contains(part), "{part} in\n{shown}");
    }
}

#[test]
fn a_kernel_that_does_not_answer_is_said_so() {
    let mut model = model();
    model.take(News::Silent(None));
    let shown = screen(&model, 80, 24);
    assert!(
        shown.contains("The kernel does not answer. What stands here is from before."),
        "{shown}"
    );
    model.take(News::Gone("The kernel has ended (process 7).".into()));
    assert!(screen(&model, 80, 24).contains("The kernel has ended (process 7)."));
    model.take(News::Seen(Box::new(answer(9))));
    assert!(!screen(&model, 80, 24).contains("ended"));
}

#[test]
fn text_has_no_keys_and_no_curves() {
    let text = plain(&model(), 80);
    assert!(
        text.contains("dgemm_kernel") && !text.contains("quit"),
        "{text}"
    );
    assert!(
        text.lines().all(|line| line.chars().count() <= 80),
        "{text}"
    );
}
