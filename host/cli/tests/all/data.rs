//! Topics, messages and subscriptions of a data folder, alone and beside a process that has it open.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::process::{Child, Stdio};
use std::time::Duration;

use pulselet_test_support::{eventually_blocking, example};
use serde_json::Value;

use crate::Ended;
use crate::pulselet::{Bench, Running};

const PATIENCE: Duration = Duration::from_secs(60);

fn lines(text: &str) -> Vec<&str> {
    text.lines().collect()
}

impl Bench {
    /// Starts a command and waits for a line of its stderr or stdout.
    fn start(&self, args: &[&str]) -> Running {
        Running(self.command().args(args).stdin(Stdio::null()).spawn().unwrap())
    }

    /// Waits until somebody serves the data folder.
    fn is_served(&self) {
        let socket = self.dir.path().join("pulselet-data/pulselet.sock");
        eventually_blocking("the folder is served", PATIENCE, || socket.exists());
    }
}

fn stdout(child: &mut Child) -> std::io::Lines<BufReader<std::process::ChildStdout>> {
    BufReader::new(child.stdout.take().unwrap()).lines()
}

#[test]
fn what_was_produced_is_consumed_in_order_with_all_that_came_with_it() {
    let bench = Bench::new();
    let ids = bench.prints(&["produce", "in", "one", "two", "--key", "k", "--property", "a=b", "--property", "c=d=e"]);
    assert_eq!(lines(&ids).len(), 2);
    assert_eq!(bench.prints(&["consume", "in"]), "one\ntwo\n");
    let printed = bench.prints(&["consume", "in", "--output", "json"]);
    let messages: Vec<Value> = printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(messages[1]["payload"], "two");
    assert_eq!(messages[1]["key"], "k");
    assert_eq!(messages[1]["properties"], serde_json::json!({"a": "b", "c": "d=e"}));
    assert_eq!(messages[1]["topic"], "persistent://public/default/in");
    assert_eq!(messages[1]["messageId"].as_str().unwrap(), lines(&ids)[1]);
    assert!(messages[1]["publishTime"].as_u64().unwrap() > 0);
}

#[test]
fn lines_of_stdin_are_messages_and_bytes_that_are_no_text_stay_what_they_are() {
    let bench = Bench::new();
    let mut child = bench.command().args(["produce", "in"]).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"first\n\n\xff\xfe\nlast").unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert_eq!(lines(&Ended(output).printed()).len(), 4);
    let consumed = bench.pulselet(&["consume", "in"]).0.stdout;
    assert_eq!(consumed, b"first\n\n\xff\xfe\nlast\n");
    let json = bench.prints(&["consume", "in", "--output", "json"]);
    let binary: Value = serde_json::from_str(lines(&json)[2]).unwrap();
    assert_eq!(binary["payloadBase64"], "//4=");
}

#[test]
fn only_what_a_subscription_printed_is_acknowledged() {
    let bench = Bench::new();
    bench.prints(&["produce", "in", "1", "2", "3", "4", "5"]);
    assert_eq!(bench.prints(&["consume", "in", "--subscription", "s", "--count", "2"]), "1\n2\n");
    let stats = bench.prints_json(&["subscriptions", "list", "in"]);
    assert_eq!((&stats[0]["subscription"], &stats[0]["backlog"]), (&"s".into(), &3.into()));
    assert_eq!(bench.prints(&["consume", "in", "--subscription", "s"]), "3\n4\n5\n");
    assert_eq!(bench.prints(&["consume", "in", "--subscription", "s"]), "");
}

#[test]
fn reading_without_a_subscription_changes_nothing() {
    let bench = Bench::new();
    bench.prints(&["produce", "in", "1", "2"]);
    for _ in 0..2 {
        assert_eq!(bench.prints(&["consume", "in"]), "1\n2\n");
    }
    assert_eq!(bench.prints(&["consume", "in", "--from", "latest"]), "");
    assert_eq!(bench.prints_json(&["subscriptions", "list", "in"]), serde_json::json!([]));
}

#[test]
fn many_messages_go_through_whole() {
    let bench = Bench::new();
    let text: String = (0..20_000).map(|number| format!("line {number}\n")).collect();
    let mut child = bench.command().args(["produce", "in"]).stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = text.clone();
    let feeding = std::thread::spawn(move || stdin.write_all(input.as_bytes()).unwrap());
    let output = child.wait_with_output().unwrap();
    feeding.join().unwrap();
    assert_eq!(lines(&Ended(output).printed()).len(), 20_000);
    assert_eq!(bench.prints(&["consume", "in"]), text);
    assert_eq!(bench.prints(&["consume", "in", "--subscription", "s", "--count", "15000"]).lines().count(), 15_000);
    assert_eq!(bench.prints(&["consume", "in", "--subscription", "s"]).lines().count(), 5_000);
}

#[test]
fn partitions_keep_the_messages_of_a_key_together() {
    let bench = Bench::new();
    bench.prints(&["topics", "create", "orders", "--partitions", "3"]);
    assert_eq!(bench.prints_json(&["topics", "list"])[0]["partitions"], 3);
    let partition = |id: &str| id.split(':').nth(2).unwrap().to_owned();
    let ids = bench.prints(&["produce", "orders", "a", "b", "c", "--key", "alice"]);
    let partitions: Vec<String> = lines(&ids).into_iter().map(partition).collect();
    assert!(partitions.iter().all(|number| *number == partitions[0]), "{ids}");
    bench.prints(&["produce", "orders", "d", "e", "f"]);
    let read = bench.prints(&["consume", "orders"]);
    let mut read = lines(&read);
    read.sort_unstable();
    assert_eq!(read, ["a", "b", "c", "d", "e", "f"]);
    bench.pulselet(&["topics", "create", "orders", "--partitions", "2"]).failed(1, "orders");
    bench.prints(&["topics", "delete", "orders"]);
    assert_eq!(bench.prints_json(&["topics", "list"]), serde_json::json!([]));
}

#[test]
fn subscriptions_are_made_moved_and_removed() {
    let bench = Bench::new();
    let ids = bench.prints(&["produce", "in", "1", "2", "3"]);
    bench.prints(&["subscriptions", "create", "in", "audit", "--from", "earliest"]);
    assert_eq!(bench.prints(&["consume", "in", "--subscription", "audit"]), "1\n2\n3\n");
    bench.prints(&["subscriptions", "create", "in", "keep", "--from", "earliest"]);
    bench.prints(&["produce", "in", "4", "5"]);
    bench.prints(&["subscriptions", "seek", "in", "keep", "--to", "latest"]);
    assert_eq!(bench.prints(&["consume", "in", "--subscription", "keep"]), "");
    assert_eq!(bench.prints(&["consume", "in", "--subscription", "audit"]), "4\n5\n");
    bench.prints(&["subscriptions", "delete", "in", "keep"]);
    bench.prints(&["subscriptions", "delete", "in", "audit"]);
    assert_eq!(bench.prints_json(&["subscriptions", "list", "in"]), serde_json::json!([]));
    bench.pulselet(&["subscriptions", "delete", "in", "nobody"]).failed(1, "nobody");
    bench.pulselet(&["subscriptions", "seek", "in", "nobody", "--to", "earliest"]).failed(1, "no subscription");
    bench.pulselet(&["subscriptions", "seek", "in", "x", "--to", "tomorrow"]).failed(2, "earliest");
    assert!(!ids.is_empty());
}

#[test]
fn a_subscription_goes_back_to_a_message_that_is_still_there() {
    let bench = Bench::new();
    bench.prints(&["subscriptions", "create", "in", "holds", "--from", "earliest"]);
    let first = bench.prints(&["produce", "in", "1"]);
    let second = bench.prints(&["produce", "in", "2"]);
    bench.prints(&["consume", "in", "--subscription", "s"]);
    bench.prints(&["subscriptions", "seek", "in", "s", "--to", second.trim()]);
    assert_eq!(bench.prints(&["consume", "in", "--subscription", "s"]), "2\n");
    bench.prints(&["subscriptions", "seek", "in", "s", "--to", first.trim()]);
    assert_eq!(bench.prints(&["consume", "in", "--subscription", "s"]), "1\n2\n");
    bench.pulselet(&["subscriptions", "seek", "in", "s", "--to", "1:x"]).failed(1, "is not a message id");
}

#[test]
fn a_folder_that_is_not_there_is_not_made_by_a_question() {
    let bench = Bench::new();
    for args in [vec!["topics", "list"], vec!["consume", "in"], vec!["subscriptions", "list", "in"]] {
        bench.pulselet(&args).failed(1, "there is no data folder pulselet-data");
    }
    assert!(!bench.dir.path().join("pulselet-data").exists());
}

#[test]
fn bad_names_are_refused_with_the_rule() {
    let bench = Bench::new();
    bench.prints(&["produce", "in", "x"]);
    for args in [vec!["produce", "a/b", "x"], vec!["consume", "a/b"], vec!["topics", "create", "a/b"]] {
        bench.pulselet(&args).failed(1, "[persistent://]tenant/namespace/name");
    }
    bench.pulselet(&["topics", "list", "("]).failed(1, "regex");
    bench.pulselet(&["consume", "nothing"]).failed(1, "does not exist");
    assert_eq!(bench.prints_json(&["topics", "list"]).as_array().unwrap().len(), 1);
    bench.pulselet(&["topics", "delete", "nothing"]).failed(1, "does not exist");
}

#[test]
fn a_message_that_is_too_large_is_refused_alone() {
    let bench = Bench::new();
    let mut child = bench.command().args(["produce", "in"]).stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let feeding = std::thread::spawn(move || {
        stdin.write_all(b"small\n").unwrap();
        stdin.write_all(&vec![b'x'; 6 << 20]).unwrap();
        stdin.write_all(b"\nalso small\n").unwrap();
    });
    let ended = Ended(child.wait_with_output().unwrap());
    feeding.join().unwrap();
    ended.failed(1, "message 2: the message has 6291");
    assert_eq!(lines(&ended.printed()).len(), 2);
    assert_eq!(bench.prints(&["consume", "in"]), "small\nalso small\n");
}

#[test]
fn a_running_function_is_fed_and_read_from_other_processes() {
    let bench = Bench::new();
    let function = bench.declare("exclaim", &example("exclamation"), "in", "out", "");
    let run = bench.start(&["run", function.to_str().unwrap()]);
    bench.is_served();
    eventually_blocking("it has subscribed", PATIENCE, || {
        let stats = bench.pulselet(&["subscriptions", "list", "in"]);
        if stats.printed().ends_with("  1\n") { Ok(()) } else { Err(stats.printed() + &stats.errors()) }
    });
    let mut follow = bench.start(&["consume", "out", "--follow"]);
    let mut printed = stdout(&mut follow.0);
    bench.prints(&["produce", "in", "hello"]);
    assert_eq!(printed.next().unwrap().unwrap(), "hello!");
    bench.prints(&["produce", "in", "again"]);
    assert_eq!(printed.next().unwrap().unwrap(), "again!");
    bench.pulselet(&["subscriptions", "delete", "in", "public/default/exclaim"]).failed(1, "has consumers");
    bench.pulselet(&["subscriptions", "seek", "in", "public/default/exclaim", "--to", "earliest"]).failed(1, "exclaim");
    // It ends although somebody is reading, and says so to the reader.
    let killed = std::process::Command::new("kill").arg(run.0.id().to_string()).status().unwrap();
    assert!(killed.success());
    let status = eventually_blocking("the reader ends", PATIENCE, || follow.0.try_wait().unwrap().ok_or("reads"));
    assert_eq!(status.code(), Some(1));
    drop(run);
    assert_eq!(bench.prints(&["consume", "out"]), "hello!\nagain!\n");
}

#[test]
fn whoever_has_the_folder_open_serves_the_others() {
    let bench = Bench::new();
    bench.prints(&["topics", "create", "in"]);
    let mut follow = bench.start(&["consume", "in", "--follow", "--subscription", "s"]);
    let mut printed = stdout(&mut follow.0);
    bench.is_served();
    bench.prints(&["produce", "in", "hello"]);
    assert_eq!(printed.next().unwrap().unwrap(), "hello");
    bench.pulselet(&["consume", "in", "--subscription", "s"]).failed(1, "\"s\"");
    let socket = bench.dir.path().join("pulselet-data/pulselet.sock");
    assert_eq!(std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);

    // SIGINT ends it as it should end: what was printed is acknowledged, and the socket is gone.
    let killed = std::process::Command::new("kill").args(["-INT", &follow.0.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let status = eventually_blocking("it ends", PATIENCE, || follow.0.try_wait().unwrap().ok_or("runs"));
    assert!(status.success() && !socket.exists());
    assert_eq!(bench.prints(&["consume", "in", "--subscription", "s"]), "");
}

#[test]
fn what_a_killed_process_leaves_behind_is_in_nobodys_way() {
    let bench = Bench::new();
    bench.prints(&["produce", "in", "1", "2"]);
    let mut follow = bench.start(&["consume", "in", "--follow"]);
    let mut printed = stdout(&mut follow.0);
    bench.is_served();
    assert_eq!(printed.next().unwrap().unwrap(), "1");
    assert_eq!(bench.prints_json(&["subscriptions", "list", "in"]).as_array().unwrap().len(), 1);
    // Without a chance to clean up.
    follow.0.kill().unwrap();
    follow.0.wait().unwrap();
    assert!(bench.dir.path().join("pulselet-data/pulselet.sock").exists());
    assert_eq!(bench.prints(&["consume", "in"]), "1\n2\n");
    assert!(!bench.dir.path().join("pulselet-data/pulselet.sock").exists());
    drop(UnixListener::bind(bench.dir.path().join("pulselet-data/pulselet.sock")).unwrap());
    bench.prints(&["produce", "in", "3"]);
    assert_eq!(bench.prints(&["consume", "in"]), "1\n2\n3\n");
    assert_eq!(bench.prints_json(&["subscriptions", "list", "in"]), serde_json::json!([]));
}

#[test]
fn a_folder_with_a_long_path_is_served_too() {
    let bench = Bench::new();
    let data = bench.dir.path().join("a-name-that-is-long-enough".repeat(6));
    let data = data.to_str().unwrap();
    bench.prints(&["produce", "--data", data, "in", "x"]);
    assert_eq!(bench.prints(&["consume", "--data", data, "in"]), "x\n");
}

#[test]
fn a_folder_that_cannot_be_used_is_named() {
    let bench = Bench::new();
    bench.write("file", "");
    bench.pulselet(&["topics", "list", "--data", "file"]).failed(1, "file");
    std::fs::create_dir(bench.dir.path().join("damaged")).unwrap();
    bench.write("damaged/broker.redb", &"x".repeat(10_000));
    bench.pulselet(&["topics", "list", "--data", "damaged"]).failed(1, "damaged");
}
