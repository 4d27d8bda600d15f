//! Data folders that cannot be used, or stop being usable.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use pulselet_test_support::{eventually_blocking, example};
use redb::{Database, ReadableDatabase, TableDefinition};

use super::{PATIENCE, refused};
use crate::pulselet::{Bench, Running, text};

/// Who may write nowhere but where everybody may.
const NOBODY: u32 = 65_534;

/// Where the broker keeps the version of its format.
const FORMAT: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");

/// A folder with one message in it, closed as it should be.
fn filled() -> (Bench, PathBuf) {
    let bench = Bench::new();
    bench.send("in", "hello");
    let database = bench.data().join("broker.redb");
    (bench, database)
}

/// Whatever is asked of the folder is refused with these words.
fn is_refused(bench: &Bench, words: &[&str]) {
    let function = bench.declare("exclaim", &example("exclamation"), "in", "out", "");
    let run = bench.command().args(["run", "--data", "data"]).arg(function).output().unwrap();
    refused(&run, 1, words);
    refused(&bench.on_data(&["produce", "in", "more"]), 1, words);
    refused(&bench.on_data(&["consume", "in"]), 1, words);
}

#[test]
fn a_folder_of_a_newer_version_is_refused_and_left_alone() {
    let (bench, database) = filled();
    let newer = Database::open(&database).unwrap();
    let txn = newer.begin_write().unwrap();
    txn.open_table(FORMAT).unwrap().insert("format", 99).unwrap();
    txn.commit().unwrap();
    drop(newer);
    // Bytes by which the database notes that it is open do change.
    is_refused(&bench, &["E3002", "format 99", "use the later version"]);
    let newer = Database::open(&database).unwrap();
    let meta = newer.begin_read().unwrap().open_table(FORMAT).unwrap();
    assert_eq!(meta.get("format").unwrap().unwrap().value(), 99);
}

#[test]
fn a_damaged_folder_is_refused_and_left_alone() {
    let (bench, database) = filled();
    let whole = fs::read(&database).unwrap();
    for damaged in [whole[..whole.len() / 2].to_vec(), vec![b'x'; whole.len()]] {
        fs::write(&database, &damaged).unwrap();
        is_refused(&bench, &["error[E3", "broker.redb"]);
        assert!(fs::read(&database).unwrap() == damaged, "the database has changed");
    }
    fs::write(&database, whole).unwrap();
    assert_eq!(bench.messages("in"), "hello\n");
}

#[test]
fn a_folder_that_may_not_be_written_is_refused_and_left_alone() {
    let (bench, database) = filled();
    let function = bench.declare("exclaim", &example("exclamation"), "in", "out", "");
    // Root may write everywhere, so somebody else has to try, with a binary and files that everybody may read.
    let is_root = fs::metadata(bench.dir.path()).unwrap().uid() == 0;
    let binary = bench.dir.path().join("pulselet");
    fs::hard_link(env!("CARGO_BIN_EXE_pulselet"), &binary)
        .or_else(|_| fs::copy(env!("CARGO_BIN_EXE_pulselet"), &binary).map(drop))
        .unwrap();
    fs::set_permissions(bench.dir.path(), Permissions::from_mode(0o755)).unwrap();
    let engine = bench.dir.path().join("engine");
    fs::create_dir(&engine).unwrap();
    fs::set_permissions(&engine, Permissions::from_mode(0o777)).unwrap();
    for entry in fs::read_dir(bench.data()).unwrap() {
        fs::set_permissions(entry.unwrap().path(), Permissions::from_mode(0o444)).unwrap();
    }
    fs::set_permissions(bench.data(), Permissions::from_mode(0o555)).unwrap();
    let before = fs::read(&database).unwrap();
    let function = function.to_str().unwrap();
    for args in [&["run", function][..], &["produce", "in", "more"], &["topics", "list"]] {
        let mut command = Command::new(&binary);
        command.args(args).args(["--data", "data"]).current_dir(bench.dir.path()).stdin(Stdio::null());
        command.env("PULSELET_ENGINE_DIR", engine.join("own"));
        if is_root {
            command.uid(NOBODY).gid(NOBODY);
        }
        refused(&command.output().unwrap(), 1, &["error[E3004]", "data"]);
    }
    assert!(fs::read(&database).unwrap() == before, "the database has changed");
    // So that it can be removed.
    fs::set_permissions(bench.data(), Permissions::from_mode(0o755)).unwrap();
}

impl Bench {
    /// The command, of which no file may grow over so many blocks of 512 bytes: that stands for a full disk.
    fn limited(&self, blocks: u64) -> Command {
        let usual = self.command();
        let mut limited = Command::new("sh");
        // The signal that comes with the limit is ignored, so that writing fails, as it does when a disk is full.
        limited.args(["-c", "trap '' XFSZ; ulimit -f \"$1\"; shift; exec \"$@\"", "sh", &blocks.to_string()]);
        limited.arg(usual.get_program()).current_dir(self.dir.path());
        limited.envs(usual.get_envs().filter_map(|(name, value)| Some((name, value?))));
        limited.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        limited
    }
}

#[test]
fn a_full_disk_ends_the_run_and_what_was_confirmed_is_kept() {
    let bench = Bench::new();
    let function = bench.declare("exclaim", &example("exclamation"), "in", "out", "");
    bench.send("in", "first");
    // Keeps what was sent, also what the function is through with.
    let audit = bench.on_data(&["subscriptions", "create", "in", "audit", "--from", "earliest"]);
    assert!(audit.status.success(), "{}", text(&audit.stderr));
    // In blocks of 512 bytes: what the database has, and a little more.
    let blocks = fs::metadata(bench.data().join("broker.redb")).unwrap().len() / 512 + 2_048;
    let mut limited = bench.limited(blocks);
    limited.args(["run", "--no-filter", "--data", "data"]).arg(&function);
    limited.stderr(fs::File::create(bench.dir.path().join("stderr")).unwrap());
    let said = || fs::read_to_string(bench.dir.path().join("stderr")).unwrap();
    let mut run = Running(limited.spawn().unwrap());
    eventually_blocking("it is ready", PATIENCE, || if said().contains("ready") { Ok(()) } else { Err(said()) });

    // Only what its process confirmed counts: after its end others open the folder themselves, and have no limit.
    let mut confirmed = 0;
    for number in 0..1_000 {
        let output = bench.on_data(&["produce", "in", &format!("{number} {}", "x".repeat(100_000))]);
        if run.0.try_wait().unwrap().is_some() {
            break;
        }
        confirmed += usize::from(output.status.success());
    }
    let status = eventually_blocking("it ends", PATIENCE, || run.0.try_wait().unwrap().ok_or("runs"));
    assert_eq!(status.code(), Some(1), "{}", said());
    assert!(said().contains("what was confirmed is kept") && !said().contains("panicked"), "{}", said());

    // With room again, everything that was confirmed is there, and the function goes on.
    let kept = text(&bench.on_data(&["consume", "in", "--subscription", "audit"]).stdout);
    assert!(kept.lines().count() >= confirmed, "{} of {confirmed} are left", kept.lines().count());
    let output = bench.filter(&["--data", "data", function.to_str().unwrap()], b"last\n");
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).ends_with("last!\n"));
}

#[test]
fn a_disk_that_is_full_from_the_start_is_an_error_that_says_so() {
    let bench = Bench::new();
    let output = bench.limited(1).args(["produce", "in", "hello", "--data", "data"]).output().unwrap();
    refused(&output, 1, &["error[E300", "data"]);
    bench.send("in", "with room it goes");
    assert_eq!(bench.messages("in"), "with room it goes\n");
}
