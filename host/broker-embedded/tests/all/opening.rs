//! Data folders that cannot be opened: each says why and what to do, and stays as it is.

use std::fs;
use std::path::Path;

use pulselet_broker_embedded::{EmbeddedBroker, OpenError, Options, Storage};
use redb::{Database, TableDefinition};

use crate::words::{backlog, consume, produce, single, take};

fn open(folder: &Path) -> Result<EmbeddedBroker, OpenError> {
    EmbeddedBroker::open(Options::new(Storage::Folder(folder.to_owned())))
}

/// A folder with some entries in it.
async fn filled() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let broker = open(folder.path()).unwrap();
    let producer = produce(&broker, "t", Some("p")).await.unwrap();
    drop(consume(&broker, "t", "s").await.unwrap());
    for number in 0..50 {
        producer.send(single(&format!("{number} {}", "x".repeat(1_000)))).await.unwrap();
    }
    broker.close().await;
    folder
}

fn file(folder: &tempfile::TempDir) -> std::path::PathBuf {
    folder.path().join("broker.redb")
}

#[tokio::test]
async fn a_folder_in_use_is_refused_until_it_is_let_go() {
    let folder = filled().await;
    let first = open(folder.path()).unwrap();
    let error = open(folder.path()).unwrap_err();
    assert_eq!(error.code(), "E3001", "{error}");
    assert!(error.to_string().contains(folder.path().to_str().unwrap()), "{error}");
    // Consumers and producers that outlive the broker do not keep the folder.
    let consumer = consume(&first, "t", "s").await.unwrap();
    first.close().await;
    let second = open(folder.path()).unwrap();
    assert_eq!(backlog(&second, "t", "s").await, 50);
    drop(consumer);
    drop(second);
    open(folder.path()).unwrap();
}

#[tokio::test]
async fn data_of_a_newer_version_is_refused() {
    let folder = filled().await;
    let meta: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
    let database = Database::open(file(&folder)).unwrap();
    let txn = database.begin_write().unwrap();
    txn.open_table(meta).unwrap().insert("format", 99).unwrap();
    txn.commit().unwrap();
    drop(database);
    let error = open(folder.path()).unwrap_err();
    assert_eq!(error.code(), "E3002", "{error}");
    assert!(error.to_string().contains("99"), "{error}");
}

#[tokio::test]
async fn another_database_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let other: TableDefinition<'_, u64, u64> = TableDefinition::new("other");
    let database = Database::create(file(&folder)).unwrap();
    let txn = database.begin_write().unwrap();
    txn.open_table(other).unwrap().insert(1, 1).unwrap();
    txn.commit().unwrap();
    drop(database);
    let error = open(folder.path()).unwrap_err();
    assert_eq!(error.code(), "E3003", "{error}");
}

#[tokio::test]
async fn a_file_that_is_cut_short_or_no_database_is_refused_and_left_alone() {
    let folder = filled().await;
    let whole = fs::read(file(&folder)).unwrap();
    for length in [0, 3, 100, 4096, whole.len() / 2, whole.len() - 4096] {
        fs::write(file(&folder), &whole[..length]).unwrap();
        let error = open(folder.path()).unwrap_err();
        assert_eq!(error.code(), "E3003", "{length}: {error}");
    }
    fs::write(file(&folder), b"some text that somebody put here").unwrap();
    let error = open(folder.path()).unwrap_err();
    assert_eq!(error.code(), "E3003", "{error}");
    assert_eq!(fs::read(file(&folder)).unwrap(), b"some text that somebody put here");
}

#[tokio::test]
async fn flipped_bytes_are_noticed_or_do_no_harm() {
    let folder = filled().await;
    let whole = fs::read(file(&folder)).unwrap();
    let mut refused = 0;
    for flip in 0..60 {
        let mut bytes = whole.clone();
        // Half of them in the first pages, where they hurt most.
        let span = if flip % 2 == 0 { 8_192 } else { bytes.len() };
        let place = (flip * 7_919 + flip * flip * 31) % span;
        bytes[place] ^= 1 << (flip % 8);
        fs::write(file(&folder), &bytes).unwrap();
        match open(folder.path()) {
            Err(error) => {
                refused += 1;
                assert!(["E3001", "E3002", "E3003", "E3007"].contains(&error.code()), "byte {place}: {error}");
            }
            // Either what is read is as it was written, or it is refused when it is read.
            Ok(broker) => {
                if let Ok(consumer) = consume(&broker, "t", "s").await {
                    for number in 0..50 {
                        let next = tokio::time::timeout(std::time::Duration::from_secs(20), consumer.next()).await;
                        match next.expect("neither a message nor an error") {
                            Ok(pulselet_broker::Event::Entries(entries)) => {
                                for entry in entries {
                                    let at = entry.position.entry;
                                    let expected = format!("{at} {}", "x".repeat(1_000));
                                    assert_eq!(entry.messages[0].payload, expected, "byte {place}");
                                }
                            }
                            Ok(_) => {}
                            Err(_) => break,
                        }
                        if number > 48 {
                            break;
                        }
                        if backlog_is_delivered(&broker).await {
                            break;
                        }
                    }
                }
            }
        }
    }
    assert!(refused > 0, "no flip was noticed at all");
}

async fn backlog_is_delivered(broker: &EmbeddedBroker) -> bool {
    use pulselet_broker::Broker;
    let Ok(stats) = broker.subscriptions(&crate::words::topic("t")).await else { return true };
    stats.iter().all(|stats| stats.unacked == stats.backlog)
}

#[test]
fn a_file_in_place_of_the_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    fs::write(&path, b"mine").unwrap();
    for wrong in [path.clone(), path.join("below")] {
        let error = open(&wrong).unwrap_err();
        assert_eq!(error.code(), "E3006", "{error}");
    }
    assert_eq!(fs::read(&path).unwrap(), b"mine");
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let folder = filled().await;
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o500)).unwrap();
    fs::set_permissions(file(&folder), fs::Permissions::from_mode(0o400)).unwrap();
    fs::set_permissions(folder.path().join("broker.lock"), fs::Permissions::from_mode(0o400)).unwrap();
    if fs::write(folder.path().join("probe"), b"").is_ok() {
        // Whoever runs this may write everywhere (root); then permissions mean nothing. The system's own file system
        // of processes refuses root as well.
        let error = open(Path::new("/proc/pulselet")).unwrap_err();
        assert!(["E3004", "E3007"].contains(&error.code()), "{error}");
    } else {
        let error = open(folder.path()).unwrap_err();
        assert_eq!(error.code(), "E3004", "{error}");
    }
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
}

#[tokio::test]
async fn what_a_crash_left_of_the_first_opening_does_not_matter() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("broker.redb.new"), b"half of it").unwrap();
    let broker = open(folder.path()).unwrap();
    let producer = produce(&broker, "t", None).await.unwrap();
    producer.send(single("a")).await.unwrap();
    let consumer = consume(&broker, "t", "s").await.unwrap();
    assert_eq!(take(&*consumer, 1).await[0].0, "a");
    assert!(!folder.path().join("broker.redb.new").exists());
}
