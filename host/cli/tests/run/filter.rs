use pulselet_test_support::{example, guest};

use crate::pulselet::{Bench, text};

#[test]
fn lines_go_in_answers_come_out_in_order_and_the_command_ends() {
    let bench = Bench::new();
    let function = bench.declare("exclaim", &example("exclamation"), "in", "out", "");
    let lines: String = (0..2_000).map(|n| format!("line {n}\n")).collect();
    let output = bench.filter(&["--ephemeral", function.to_str().unwrap()], lines.as_bytes());
    let wanted: String = (0..2_000).map(|n| format!("line {n}!\n")).collect();
    assert_eq!(text(&output.stdout), wanted, "{}", text(&output.stderr));
    assert!(output.status.success());
    assert!(text(&output.stderr).contains("2000 lines in, 2000 lines out"), "{}", text(&output.stderr));
}

#[test]
fn functions_in_a_row_feed_one_another() {
    let bench = Bench::new();
    let first = bench.declare("first", &example("exclamation"), "in", "middle", "");
    let second = bench.declare("second", &example("exclamation"), "middle", "out", "");
    let output = bench.filter(&["--ephemeral", second.to_str().unwrap(), first.to_str().unwrap()], b"a\nb\n");
    assert_eq!(text(&output.stdout), "a!!\nb!!\n", "{}", text(&output.stderr));
}

#[test]
fn nothing_in_gives_nothing_out() {
    let bench = Bench::new();
    let function = bench.declare("exclaim", &example("exclamation"), "in", "out", "");
    let output = bench.filter(&["--ephemeral", function.to_str().unwrap()], b"");
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout), "");
}

#[test]
fn a_last_line_without_newline_and_empty_lines_are_messages_too() {
    let bench = Bench::new();
    let function = bench.declare("exclaim", &example("exclamation"), "in", "out", "");
    let output = bench.filter(&["--ephemeral", function.to_str().unwrap()], b"a\n\nb");
    assert_eq!(text(&output.stdout), "a!\n!\nb!\n", "{}", text(&output.stderr));
}

#[test]
fn a_line_over_the_limit_is_left_out_with_a_word_and_the_others_go_through() {
    let bench = Bench::new();
    let function = bench.declare("exclaim", &example("exclamation"), "in", "out", "");
    let mut lines = b"a\n".to_vec();
    lines.extend(std::iter::repeat_n(b'x', 6 << 20));
    lines.extend(b"\nb\n");
    let output = bench.filter(&["--ephemeral", function.to_str().unwrap()], &lines);
    assert_eq!(text(&output.stdout), "a!\nb!\n");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("line 2 has 6291456 bytes"), "{}", text(&output.stderr));
}

#[test]
fn when_it_is_not_clear_where_lines_go_the_command_asks_and_starts_nothing() {
    let bench = Bench::new();
    let first = bench.declare("first", &example("exclamation"), "in-a", "out", "");
    let second = bench.declare("second", &example("exclamation"), "in-b", "out", "");
    let files = [first.to_str().unwrap(), second.to_str().unwrap()];
    let output = bench.filter(&files, b"a\n");
    assert!(!output.status.success());
    let error = text(&output.stderr);
    assert!(error.contains("--feed") && error.contains("in-a") && error.contains("in-b"), "{error}");
    assert!(!bench.data().exists() && !bench.dir.path().join("pulselet-data").exists());
    let output = bench.filter(&[files[0], files[1], "--ephemeral", "--feed", "in-b"], b"a\n");
    assert_eq!(text(&output.stdout), "a!\n", "{}", text(&output.stderr));
}

#[test]
fn a_poisonous_line_fails_alone() {
    let bench = Bench::new();
    let spec = "maxMessageRetry: 1\ndeadLetterTopic: bad\nretry: {backoffMs: 1}\ntimeout: 3000\nlimits: {memory: 16Mi}";
    let function = bench.declare("probe", &guest("probe-plain"), "in", "out", spec);
    let input = b"a\ntrap\nloop\nalloc 1000000000\nreturn 100000000\nlog 20000\nb\n";
    let output = bench.filter(&["--ephemeral", function.to_str().unwrap()], input);
    let error = text(&output.stderr);
    assert!(output.status.success(), "{error}");
    let lines = text(&output.stdout);
    assert!(lines.starts_with("a\n") && lines.contains("b\n"), "{lines}");
    assert!(error.contains("4 dead letters"), "{error}");
}

#[test]
fn a_function_that_stops_itself_ends_the_command_with_its_reason() {
    let bench = Bench::new();
    let function = bench.declare("probe", &guest("probe-plain"), "in", "out", "");
    let output = bench.filter(&["--ephemeral", function.to_str().unwrap()], b"fatal no disk\n");
    assert!(!output.status.success());
    assert!(text(&output.stderr).contains("no disk"), "{}", text(&output.stderr));
}

#[test]
fn lines_are_fed_even_if_no_topic_to_print_is_known() {
    let bench = Bench::new();
    let yaml = format!(
        "apiVersion: pulselet.dev/v1alpha1\nkind: Function\nmetadata: {{name: probe}}\nspec:\n  wasm: {{location: {}}}\n  input: {{topics: [in]}}\n  publish: ['side-.*']\n",
        guest("probe-publish").display()
    );
    let function = bench.write("probe.yaml", &yaml);
    let function = function.to_str().unwrap();
    let output = bench.filter(&["--ephemeral", function], b"publish side-a one\n");
    let error = text(&output.stderr);
    assert!(output.status.success() && error.contains("1 lines in") && error.contains("--print"), "{error}");
    let output = bench.filter(&["--ephemeral", "--print", "side-a", function], b"publish side-a one\n");
    assert_eq!(text(&output.stdout), "one\n", "{}", text(&output.stderr));
}

#[test]
fn programs_get_messages_and_report_as_json() {
    let bench = Bench::new();
    let function = bench.declare("exclaim", &example("exclamation"), "in", "out", "");
    let output = bench.filter(&["--ephemeral", "--output", "json", function.to_str().unwrap()], b"a\nb\n");
    let json = |text: String| -> Vec<serde_json::Value> {
        text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
    };
    let messages = json(text(&output.stdout));
    assert_eq!(messages.iter().map(|message| &message["payload"]).collect::<Vec<_>>(), ["a!", "b!"]);
    assert_eq!(messages[0]["topic"], "persistent://public/default/out");
    let told = json(text(&output.stderr));
    let report = told.last().unwrap();
    assert_eq!((&report["linesIn"], &report["linesOut"]), (&2.into(), &2.into()));
    assert_eq!(report["functions"][0]["processed"], 2);
}
