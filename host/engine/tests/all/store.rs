use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::thread;
use std::time::SystemTime;

use pulselet_engine::{Engine, LoadError, Options, StartError};
use pulselet_test_support::{eventually_blocking, guest};

use crate::host::Recorder;
use crate::setup::{LONG, Setup, say};

#[test]
fn compiled_code_is_used_again_by_the_next_engine() {
    let setup = Setup::new();
    setup.assign(guest("probe-batch")).unwrap();
    let [code] = &setup.files("compiled")[..] else { panic!("one file") };
    let written = fs::metadata(code).unwrap().modified().unwrap();
    let next = Setup { engine: Engine::new(Options::new(setup.dir.path().join("store"))).unwrap(), dir: setup.dir };
    next.assign(guest("probe-batch")).unwrap().load().unwrap();
    assert_eq!(next.files("compiled").len(), 1);
    assert_eq!(fs::metadata(code).unwrap().modified().unwrap(), written);
}

#[test]
fn only_the_owner_reads_code_and_nobody_writes_it() {
    let setup = Setup::new();
    setup.assign(guest("probe-batch")).unwrap();
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    for folder in ["artifacts", "compiled"] {
        assert_eq!(mode(&setup.dir.path().join("store").join(folder)), 0o700);
        assert_eq!(mode(&setup.files(folder)[0]), 0o400);
    }
}

#[test]
fn code_that_does_not_load_is_set_aside_and_built_again() {
    for damage in [&b""[..], b"not code", b"\x7fELF"] {
        let setup = Setup::new();
        setup.assign(guest("probe-batch")).unwrap();
        let code = setup.files("compiled").remove(0);
        let whole = fs::read(&code).unwrap();
        fs::remove_file(&code).unwrap();
        fs::write(&code, damage).unwrap();
        setup.assign(guest("probe-batch")).unwrap().load().unwrap();
        assert!(fs::read(&code).unwrap() == whole);
        assert_eq!(fs::read(code.with_added_extension("bad")).unwrap(), damage);
    }
}

#[tokio::test]
async fn code_lost_after_it_was_assigned_is_a_clear_error_and_assigning_again_helps() {
    let setup = Setup::new();
    let assigned = setup.assign(guest("probe-batch")).unwrap();
    fs::remove_file(setup.files("compiled").remove(0)).unwrap();
    let Err(error) = assigned.load() else { panic!("loaded from nowhere") };
    assert!(matches!(error, LoadError::Code { .. }));
    assert!(error.to_string().ends_with("assign it again"), "{error}");
    setup.assign(guest("probe-batch")).unwrap();
    let mut instance = assigned.load().unwrap().instantiate(Recorder::new()).await.unwrap();
    assert_eq!(say(&mut instance, "a").await.unwrap(), "a");
}

#[tokio::test]
async fn an_instance_outlives_its_code_on_disk_and_whoever_loaded_it() {
    let setup = Setup::new();
    let loaded = setup.assign(guest("probe-batch")).unwrap().load().unwrap();
    let mut instance = loaded.instantiate(Recorder::new()).await.unwrap();
    drop(loaded);
    fs::remove_dir_all(setup.dir.path().join("store")).unwrap();
    drop(setup);
    assert_eq!(say(&mut instance, "a").await.unwrap(), "a");
}

#[test]
fn many_who_want_the_same_component_compile_it_once() {
    let setup = Setup::new();
    // Each compilation would put another file in place.
    let file = || {
        setup.assign(guest("probe-batch")).unwrap();
        fs::metadata(&setup.files("compiled")[0]).unwrap().ino()
    };
    let files: Vec<u64> = thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(file)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(files.iter().all(|file| *file == files[0]), "{files:?}");
}

fn mapped(setup: &Setup) -> usize {
    let code = setup.files("compiled").remove(0);
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    maps.lines().filter(|line| line.ends_with(code.to_str().unwrap())).count()
}

#[test]
fn functions_of_one_component_share_its_code_which_goes_with_the_last() {
    let setup = Setup::new();
    let (first, second) = (setup.assign(guest("probe-batch")).unwrap(), setup.assign(guest("probe-batch")).unwrap());
    assert_eq!(mapped(&setup), 0, "assigned components are not mapped");
    let one = first.load().unwrap();
    let maps = mapped(&setup);
    assert!(maps > 0);
    let other = second.load().unwrap();
    assert_eq!(mapped(&setup), maps);
    drop(one);
    assert_eq!(mapped(&setup), maps);
    drop(other);
    eventually_blocking("code is unmapped", LONG, || mapped(&setup) == 0);
}

#[test]
fn what_a_process_left_half_written_is_removed_after_a_while() {
    let setup = Setup::new();
    let left = |age: u64| {
        let path = setup.dir.path().join("store/compiled").join(format!(".unfinished-{age}"));
        let file = fs::File::create(&path).unwrap();
        file.set_modified(SystemTime::now() - std::time::Duration::from_secs(age)).unwrap();
        path
    };
    let (old, new) = (left(7_200), left(60));
    Engine::<Recorder>::new(Options::new(setup.dir.path().join("store"))).unwrap();
    assert!(!old.exists() && new.exists());
}

#[test]
fn a_store_that_cannot_be_made_is_a_clear_error() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), "").unwrap();
    let Err(error) = Engine::<Recorder>::new(Options::new(dir.path().join("file"))) else { panic!("started") };
    assert!(matches!(error, StartError::Store { .. }), "{error}");
}
