use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use pulselet_test_support::{eventually_blocking, example};

use crate::pulselet::{Bench, Running};

fn get(address: &str, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

#[test]
fn a_service_can_be_watched() {
    let bench = Bench::new();
    let function = bench.declare("exclaim", &example("exclamation"), "in", "out", "");
    // Free when it was asked for; nobody else takes ports of this range on purpose.
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let mut run = bench.command();
    run.args(["run", "--ephemeral", "--no-filter", "--metrics-addr", &address]).arg(function);
    let _run = Running(run.spawn().unwrap());
    eventually_blocking("it is ready", Duration::from_secs(60), || match get(&address, "/ready") {
        Ok(answer) if answer.starts_with("HTTP/1.1 200") => Ok(()),
        other => Err(other),
    });
    assert!(get(&address, "/health").unwrap().starts_with("HTTP/1.1 200"));
    let metrics = get(&address, "/metrics").unwrap();
    assert!(metrics.contains("text/plain; version=0.0.4"), "{metrics}");
    assert!(metrics.contains("pulsar_function_received_total"), "{metrics}");
    assert!(get(&address, "/other").unwrap().starts_with("HTTP/1.1 404"));
}

#[test]
fn an_address_in_use_is_an_error_at_the_start() {
    let bench = Bench::new();
    let function = bench.declare("exclaim", &example("exclamation"), "in", "out", "");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ended = bench.pulselet(&["run", "--ephemeral", "--metrics-addr", &address, function.to_str().unwrap()]);
    ended.failed(1, &format!("serve metrics at {address}"));
}
