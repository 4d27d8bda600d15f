//! Calls the built component, through the program that also runs it in earnest.

use std::env;
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use super::protocol::{Call, Greeting, Reply, Report, VERSION, World};
use super::{BatchOutcome, EntryPoint};
use crate::host::{Incoming, Setting};

#[cfg(test)]
mod tests;
mod wire;

#[derive(Debug)]
pub(super) struct Component {
    path: PathBuf,
    world: World,
    /// Started by the first call, so that what is wrong with it is that call's failure.
    program: Option<Program>,
}

impl Component {
    pub(super) fn new(path: PathBuf, point: EntryPoint) -> Self {
        let world = match point {
            EntryPoint::Function(_) => World::Function,
            EntryPoint::BatchFunction(_) => World::BatchFunction,
        };
        Self { path, world, program: None }
    }

    pub(super) fn call(&mut self, setting: &Setting, messages: Vec<Incoming>) -> Result<BatchOutcome, String> {
        let count = messages.len();
        let program = match &mut self.program {
            Some(program) => program,
            none => none.insert(Program::start(program(&self.path), &self.path, self.world)?),
        };
        let report = program.call(&wire::call(setting, messages))?;
        if report.results.len() != count {
            return Err(format!(
                "{} results for {count} messages; the program breaks the protocol",
                report.results.len()
            ));
        }
        Ok(wire::outcome(report))
    }
}

fn program(component: &Path) -> Command {
    let mut command = Command::new(env::var_os("PULSELET_BIN").unwrap_or_else(|| OsString::from("pulselet")));
    command.arg("harness").arg(component);
    command
}

/// `pulselet harness`, running.
#[derive(Debug)]
struct Program {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Program {
    fn start(mut command: Command, component: &Path, world: World) -> Result<Self, String> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().map_err(|error| {
            let program = command.get_program().display();
            format!("start {program}: {error}; set PULSELET_BIN to the program `pulselet`")
        })?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("the program has no stdin and stdout".into());
        };
        let mut program = Self { child, stdin, stdout: BufReader::new(stdout) };
        match program.read()? {
            Greeting::Ready { protocol: VERSION, world: found } if found == world => Ok(program),
            Greeting::Ready { protocol: VERSION, world: found } => Err(format!(
                "{} exports a {found:?} and the test is of a {world:?}; build the component again",
                component.display()
            )),
            Greeting::Ready { protocol, .. } => Err(format!(
                "the program speaks harness protocol {protocol} and this SDK speaks {VERSION}; use equal versions of both"
            )),
            Greeting::Refused { reason } => Err(reason),
        }
    }

    fn call(&mut self, call: &Call) -> Result<Report, String> {
        let mut line = serde_json::to_vec(call).map_err(|error| format!("write the call: {error}"))?;
        line.push(b'\n');
        self.stdin
            .write_all(&line)
            .and_then(|()| self.stdin.flush())
            .map_err(|error| format!("the program ended: {error}; what it said last is on stderr"))?;
        match self.read()? {
            Reply::Called(report) => Ok(report),
            Reply::Refused { reason } => Err(reason),
        }
    }

    fn read<T: serde::de::DeserializeOwned>(&mut self) -> Result<T, String> {
        let mut line = String::new();
        match self.stdout.read_line(&mut line) {
            Ok(0) => Err("the program ended; what it said last is on stderr".into()),
            Ok(_) => serde_json::from_str(&line)
                .map_err(|error| format!("the program breaks the protocol: {error} in {}", line.trim_end())),
            Err(error) => Err(format!("read from the program: {error}")),
        }
    }
}

impl Drop for Program {
    /// It owns nothing that would have to be kept.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
