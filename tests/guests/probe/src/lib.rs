//! A component that does what its payload says. Words are separated by spaces.
//!
//! It is built several times, each time importing less: `probe` imports everything, `probe-plain` nothing that has to
//! be granted, `probe-publish`, `probe-settle` and `probe-secrets` one such thing each.
//!
//! | payload | what happens |
//! |---|---|
//! | `trap` `panic TEXT` `exit` | breaks off |
//! | `loop` | computes for ever |
//! | `spin ROUNDS` | computes that many rounds of a few instructions, answers their number |
//! | `sleep MS` | waits |
//! | `recurse` | calls itself without end |
//! | `alloc BYTES` | takes memory and fills it, answers `ok` |
//! | `return BYTES` | answers that many zeros |
//! | `none` | answers nothing |
//! | `count` | answers how many calls this instance has had |
//! | `log N` `stdout TEXT` `stderr TEXT` `print TEXT` | writes; `print` leaves the line unfinished |
//! | `flood` | writes to standard output for ever |
//! | `retry REASON MS` `reject TEXT` `fatal TEXT` | answers with an error |
//! | `publish TOPIC TEXT` `produce TOPIC TEXT` `publish-now TOPIC TEXT` | publishes |
//! | `publish-many TOPIC COUNT BYTES` | publishes so many of so many bytes, until it is refused |
//! | `publish-for-ever TOPIC` `publish-now-for-ever TOPIC` | publishes on and on, whatever it is told |
//! | `ack` `nack MS` `ack-handle N` | settles |
//! | `metric NAME VALUE` | counts |
//! | `secret NAME` `config NAME` `config-all` | answers the value, or nothing |
//! | `meta INDEX` `identity` | answers what the context says |
//! | `env` `args` `stdin` `file PATH` `connect ADDRESS` `resolve NAME` | tries to reach out |
//! | `clock` `random` | answers a number |

#[allow(warnings, reason = "generated")]
mod bindings {
    wit_bindgen::generate!({ path: "../../../wit", world: "function", generate_all });
    use super::Probe;
    export!(Probe);
}

use std::cell::Cell;
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bindings::exports::pulselet::function::handler::{Error, Guest};
use bindings::pulselet::function::outcome::Retry;
#[cfg(feature = "publish")]
use bindings::pulselet::function::publish::{self, TopicProducer};
#[cfg(feature = "publish")]
use bindings::pulselet::function::publish_now;
#[cfg(feature = "secrets")]
use bindings::pulselet::function::secrets;
#[cfg(feature = "settle")]
use bindings::pulselet::function::settle;
#[cfg(feature = "publish")]
use bindings::pulselet::function::types::{Message, PublishError};
use bindings::pulselet::function::{context, metrics};
use bindings::wasi::config::store;
use bindings::wasi::logging::logging::{self, Level};

struct Probe;

type Answer = Result<Option<Vec<u8>>, Error>;

thread_local! {
    static CALLS: Cell<u64> = const { Cell::new(0) };
}

impl Guest for Probe {
    fn process(payload: Vec<u8>) -> Answer {
        CALLS.set(CALLS.get() + 1);
        match std::str::from_utf8(&payload).ok().map(|text| text.split(' ').collect::<Vec<_>>()) {
            Some(words) => run(&words).unwrap_or(Ok(Some(payload))),
            None => Ok(Some(payload)),
        }
    }
}

/// Nothing for what is no command.
fn run(words: &[&str]) -> Option<Answer> {
    Some(match words {
        ["trap"] => unreachable(),
        ["panic", text @ ..] => panic!("{}", text.join(" ")),
        ["exit"] => std::process::exit(3),
        ["loop"] => compute_for_ever(),
        ["spin", rounds] => number((0..parse(rounds)).fold(0, |turns, _| std::hint::black_box(turns + 1))),
        ["recurse"] => number(recurse(1)),
        ["sleep", ms] => {
            #[expect(clippy::disallowed_methods, reason = "a guest that sleeps is what the test wants")]
            std::thread::sleep(Duration::from_millis(parse(ms)));
            text("slept")
        }
        ["alloc", bytes] => {
            let filled = vec![1u8; parse(bytes) as usize];
            text(if filled.iter().all(|byte| *byte == 1) { "ok" } else { "lost" })
        }
        ["return", bytes] => Ok(Some(vec![0; parse(bytes) as usize])),
        ["none"] => Ok(None),
        ["count"] => number(CALLS.get()),
        ["retry", reason, ms] => Err(Error::Retry(Retry { reason: (*reason).into(), delay: Some(parse(ms)) })),
        ["reject", reason @ ..] => Err(Error::Reject(reason.join(" "))),
        ["fatal", reason @ ..] => Err(Error::Fatal(reason.join(" "))),
        _ => return write(words).or_else(|| ask_host(words)).or_else(|| reach_out(words)),
    })
}

fn write(words: &[&str]) -> Option<Answer> {
    match words {
        ["log", lines] => {
            (0..parse(lines)).for_each(|line| logging::log(Level::Info, "probe", &format!("line {line}")))
        }
        ["stdout", line @ ..] => println!("{}", line.join(" ")),
        ["stderr", line @ ..] => eprintln!("{}", line.join(" ")),
        ["print", line @ ..] => {
            print!("{}", line.join(" "));
            std::io::stdout().flush().expect("flushed");
        }
        ["flood"] => loop {
            println!("{}", "x".repeat(100));
        },
        _ => return None,
    }
    Some(text("written"))
}

fn ask_host(words: &[&str]) -> Option<Answer> {
    Some(match words {
        #[cfg(feature = "publish")]
        ["publish", topic, payload] => published(publish::publish(topic, &message(payload))),
        #[cfg(feature = "publish")]
        ["produce", topic, payload] => {
            published(TopicProducer::open(topic).and_then(|producer| producer.send(payload.as_bytes())))
        }
        #[cfg(feature = "publish")]
        ["publish-now", topic, payload] => match publish_now::publish(topic, &message(payload)) {
            Ok(id) => text(&format!("{}:{}", id.ledger, id.entry)),
            Err(error) => published(Err(error)),
        },
        #[cfg(feature = "publish")]
        ["publish-many", topic, count, bytes] => {
            let message = message(&"x".repeat(parse(bytes) as usize));
            published((0..parse(count)).try_for_each(|_| publish::publish(topic, &message)))
        }
        #[cfg(feature = "publish")]
        ["publish-for-ever", topic] => loop {
            let _ = publish::publish(topic, &message("more"));
        },
        #[cfg(feature = "publish")]
        ["publish-now-for-ever", topic] => loop {
            let _ = publish_now::publish(topic, &message("more"));
        },
        #[cfg(feature = "settle")]
        ["ack"] => settled(settle::ack(settle::handle(0))),
        #[cfg(feature = "settle")]
        ["nack", ms] => settled(settle::nack(settle::handle(0), Some(parse(ms)))),
        #[cfg(feature = "settle")]
        ["ack-handle", handle] => settled(settle::ack(parse(handle))),
        ["metric", name, value] => {
            metrics::count(name, parse(value) as f64);
            text("counted")
        }
        #[cfg(feature = "secrets")]
        ["secret", name] => Ok(secrets::get(name)),
        ["config", name] => Ok(store::get(name).expect("config").map(String::into_bytes)),
        ["config-all"] => text(&format!("{:?}", store::get_all().expect("config"))),
        ["meta", index] => meta(parse(index) as u32),
        ["identity"] => {
            let identity = context::identity();
            text(&format!("{}/{}/{}", identity.tenant, identity.namespace, identity.name))
        }
        _ => return None,
    })
}

fn reach_out(words: &[&str]) -> Option<Answer> {
    Some(match words {
        ["env"] => number(std::env::vars().count() as u64),
        ["args"] => number(std::env::args().count() as u64),
        ["stdin"] => {
            let mut read = String::new();
            tried(std::io::stdin().read_to_string(&mut read).map(|_| read))
        }
        ["file", path] => tried(std::fs::read_to_string(path)),
        ["connect", address] => tried(std::net::TcpStream::connect(address).map(|_| String::new())),
        ["resolve", name] => {
            use std::net::ToSocketAddrs;
            tried((*name, 80).to_socket_addrs().map(|found| format!("{:?}", found.collect::<Vec<_>>())))
        }
        ["clock"] => number(SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()),
        ["random"] => {
            use std::hash::{BuildHasher, RandomState};
            number(RandomState::new().hash_one(0))
        }
        _ => return None,
    })
}

fn meta(index: u32) -> Answer {
    let id = context::id(index);
    let mut out = format!("{} {}:{}", context::topic(index), id.ledger, id.entry);
    let key = context::key(index).map(|key| String::from_utf8_lossy(&key).into_owned());
    let _ = write!(out, " key={key:?} properties={:?}", context::properties(index));
    let _ = write!(out, " attempt={} count={}", context::redelivery_count(index), context::count());
    text(&out)
}

#[cfg(feature = "publish")]
fn message(payload: &str) -> Message {
    Message { payload: payload.into(), key: None, properties: vec![], event_time: None, delay: None }
}

#[cfg(feature = "publish")]
fn published(result: Result<(), PublishError>) -> Answer {
    match result {
        Ok(()) => text("published"),
        Err(error) => text(&format!("{error:?}")),
    }
}

#[cfg(feature = "settle")]
fn settled(result: Result<(), settle::SettleError>) -> Answer {
    text(if result.is_ok() { "settled" } else { "unknown" })
}

fn tried(result: std::io::Result<String>) -> Answer {
    match result {
        Ok(got) => text(&format!("got {got}")),
        Err(error) => text(&format!("refused {error}")),
    }
}

fn text(text: &str) -> Answer {
    Ok(Some(text.into()))
}

fn number(number: u64) -> Answer {
    text(&number.to_string())
}

fn parse(word: &str) -> u64 {
    word.parse().expect("a number")
}

fn unreachable() -> ! {
    core::arch::wasm32::unreachable()
}

fn compute_for_ever() -> ! {
    let mut turns = 0u64;
    loop {
        turns = std::hint::black_box(turns.wrapping_add(1));
    }
}

#[allow(unconditional_recursion, reason = "that is the point")]
fn recurse(depth: u64) -> u64 {
    std::hint::black_box(recurse(std::hint::black_box(depth + 1)) + 1)
}
