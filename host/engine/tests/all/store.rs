use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::thread;
use std::time::SystemTime;

use pulselet_engine::{Cpu, Engine, LoadError, Options, StartError};
use pulselet_test_support::{eventually_blocking, guest};

use crate::host::Recorder;
use crate::setup::{LONG, Setup, say};

#[test]
fn compiled_code_is_used_again_by_the_next_engine() {
    let setup = Setup::new();
    setup.assign(guest("probe-batch")).unwrap();
    let [code] = &setup.files("compiled")[..] else { panic!("one file") };
    let written = fs::metadata(code).unwrap().modified().unwrap();
    let options = Options { baseline: false, ..Options::new(setup.dir.path().join("store")) };
    let next = Setup { engine: Engine::new(options).unwrap(), dir: setup.dir };
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

fn set_aside(setup: &Setup) -> Vec<std::path::PathBuf> {
    setup.files("compiled/bad")
}

#[test]
fn code_that_was_not_sealed_here_is_set_aside_and_built_again() {
    for damage in [&b""[..], b"not code", b"\x7fELF"] {
        let setup = Setup::new();
        drop(setup.assign(guest("probe-batch")).unwrap());
        let code = setup.files("compiled").remove(0);
        let whole = fs::read(&code).unwrap();
        fs::remove_file(&code).unwrap();
        fs::write(&code, damage).unwrap();
        setup.assign(guest("probe-batch")).unwrap().load().unwrap();
        assert!(fs::read(&code).unwrap() == whole);
        assert_eq!(fs::read(set_aside(&setup).remove(0)).unwrap(), damage);
        assert_eq!(setup.engine.stats().refused_files, 1);
    }
}

#[test]
fn one_changed_byte_anywhere_is_noticed() {
    let setup = Setup::new();
    drop(setup.assign(guest("probe-batch")).unwrap());
    let code = setup.files("compiled").remove(0);
    let whole = fs::read(&code).unwrap();
    for at in (0..whole.len()).step_by(whole.len() / 12) {
        let mut changed = whole.clone();
        changed[at] ^= 0x10;
        fs::remove_file(&code).unwrap();
        fs::write(&code, &changed).unwrap();
        drop(setup.assign(guest("probe-batch")).unwrap());
        assert!(fs::read(&code).unwrap() == whole, "byte {at}");
    }
    assert!(setup.engine.stats().refused_files >= 12);
    assert_eq!(set_aside(&setup).len(), 8, "the newest are kept");
}

#[test]
fn code_of_another_store_is_refused_though_its_name_is_right() {
    let (setup, other) = (Setup::new(), Setup::new());
    drop(other.assign(guest("probe-batch")).unwrap());
    let foreign = other.files("compiled").remove(0);
    let name = foreign.file_name().unwrap();
    fs::copy(&foreign, setup.dir.path().join("store/compiled").join(name)).unwrap();
    setup.assign(guest("probe-batch")).unwrap().load().unwrap();
    assert_eq!(setup.engine.stats().refused_files, 1);
}

#[test]
fn code_for_other_processors_has_another_name() {
    let names: Vec<_> = Cpu::ALL
        .map(|cpu| {
            let setup = Setup::with(|options| options.cpu = cpu);
            setup.assign(guest("probe-batch")).unwrap().load().unwrap();
            setup.files("compiled").remove(0).file_name().unwrap().to_owned()
        })
        .into();
    assert!(names[0] != names[1] && names[1] != names[2] && names[0] != names[2], "{names:?}");
}

#[tokio::test]
async fn code_lost_after_it_was_assigned_is_a_clear_error_and_is_made_again_for_a_message() {
    let setup = Setup::with(|options| options.loaded_bytes = 0);
    let assigned = setup.assign(guest("probe-batch")).unwrap();
    fs::remove_file(setup.files("compiled").remove(0)).unwrap();
    let Err(error) = assigned.load() else { panic!("loaded from nowhere") };
    assert!(matches!(error, LoadError::Code { .. }));
    assert!(error.to_string().ends_with("does not load: it is gone"), "{error}");
    let mut instance = assigned.load_or_restore().await.unwrap().instantiate(Recorder::new()).await.unwrap();
    assert_eq!(say(&mut instance, "a").await.unwrap(), "a");
}

#[tokio::test]
async fn a_store_that_is_removed_while_it_is_used_is_made_again() {
    let setup = Setup::with(|options| options.loaded_bytes = 0);
    let assigned = setup.assign(guest("probe-batch")).unwrap();
    fs::remove_dir_all(setup.dir.path().join("store")).unwrap();
    let mut instance = assigned.load_or_restore().await.unwrap().instantiate(Recorder::new()).await.unwrap();
    assert_eq!(say(&mut instance, "a").await.unwrap(), "a");
    // Also the key, or the next process could not use what this one has made.
    let options = Options { baseline: false, ..Options::new(setup.dir.path().join("store")) };
    let next = Setup { engine: Engine::new(options).unwrap(), dir: setup.dir };
    next.assign(guest("probe-batch")).unwrap();
    assert_eq!((next.engine.stats().refused_files, next.engine.stats().compiled_by_cranelift), (0, 0));
}

#[test]
fn a_file_that_was_touched_is_verified_again_before_it_is_used() {
    let setup = Setup::with(|options| options.loaded_bytes = 0);
    let assigned = setup.assign(guest("probe-batch")).unwrap();
    let code = setup.files("compiled").remove(0);
    let bytes = fs::read(&code).unwrap();
    fs::remove_file(&code).unwrap();
    fs::write(&code, &bytes).unwrap();
    assigned.load().unwrap();
    assert_eq!(setup.engine.stats().reverified, 1);
    let mut changed = bytes;
    changed[1_000] ^= 1;
    fs::remove_file(&code).unwrap();
    fs::write(&code, &changed).unwrap();
    assert!(assigned.load().is_err());
    assert_eq!(setup.engine.stats().refused_files, 1);
}

#[test]
fn a_key_that_others_may_read_is_refused_and_one_that_is_gone_is_made_anew() {
    let setup = Setup::new();
    drop(setup.assign(guest("probe-batch")).unwrap());
    let key = setup.dir.path().join("store/key");
    let start = || Engine::<Recorder>::new(Options { baseline: false, ..Options::new(setup.dir.path().join("store")) });
    let refused = |why: &str| {
        let Err(error) = start() else { panic!("started") };
        assert!(matches!(error, StartError::Key { .. }) && error.to_string().contains(why), "{error}");
    };
    fs::set_permissions(&key, fs::Permissions::from_mode(0o444)).unwrap();
    refused("others may read or write it");
    fs::remove_file(&key).unwrap();
    fs::write(&key, "short").unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o400)).unwrap();
    refused("it has 5 bytes");
    fs::remove_file(&key).unwrap();
    fs::create_dir(&key).unwrap();
    refused("it is not a file");
    fs::remove_dir(&key).unwrap();
    let next = Setup { engine: start().unwrap(), dir: setup.dir };
    next.assign(guest("probe-batch")).unwrap().load().unwrap();
    assert_eq!(next.engine.stats().refused_files, 1, "what was sealed with the other key is made again");
}

#[test]
fn two_engines_on_one_folder_use_each_others_code() {
    let setup = Setup::new();
    let options = Options { baseline: false, ..Options::new(setup.dir.path().join("store")) };
    let other = Setup { engine: Engine::new(options).unwrap(), dir: tempfile::tempdir().unwrap() };
    thread::scope(|scope| {
        for engine in [&setup, &other].into_iter().cycle().take(8) {
            scope.spawn(|| engine.assign(guest("probe-batch")).unwrap().load().unwrap());
        }
    });
    let compiled = setup.engine.stats().compiled_by_cranelift + other.engine.stats().compiled_by_cranelift;
    assert!((1..=2).contains(&compiled), "{compiled}");
    assert_eq!(setup.engine.stats().refused_files + other.engine.stats().refused_files, 0);
}

#[test]
fn the_store_keeps_within_its_budget_without_touching_what_is_used() {
    let setup = Setup::with(|options| options.store_bytes = 1);
    let used = setup.assign(guest("probe-batch")).unwrap();
    drop(setup.assign(guest("probe-plain")).unwrap());
    let third = setup.assign(guest("echo")).unwrap();
    assert_eq!(setup.files("compiled").len(), 2, "the one that nobody uses is gone");
    assert_eq!(setup.files("artifacts").len(), 2);
    assert!(setup.engine.stats().collected_bytes > 0);
    used.load().unwrap();
    third.load().unwrap();
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
    let setup = Setup::with(|options| options.loaded_bytes = 0);
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
