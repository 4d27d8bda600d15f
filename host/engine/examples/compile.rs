//! The least program that compiles for an engine whose [`Compiler`](pulselet_engine::Compiler) is a child process; tests
//! use it in place of `pulselet compile`.

fn main() -> std::process::ExitCode {
    let args: Vec<_> = std::env::args_os().skip(1).collect();
    pulselet_engine::CompileRequest::serve(&args)
}
