use std::ffi::{OsStr, OsString};
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use pulselet_api::Digest;
use rustix::process::{Resource, Rlimit, Signal};

use super::CompileError;
use crate::artifacts::digest_of;
use crate::{Cpu, Tier, settings};

/// Below this a second thread costs more than it saves.
const PARALLEL_BYTES: usize = 32 << 10;

/// Below this there may be no memory for the stacks of threads.
const PARALLEL_MEMORY_BYTES: u64 = 256 << 20;

/// The component is at fault.
const EXIT_INVALID: u8 = 65;
/// Its bytes are not there.
const EXIT_ARTIFACT: u8 = 66;
/// The code could not be written.
const EXIT_KEEP: u8 = 73;
/// The request was not understood.
const EXIT_REQUEST: u8 = 64;

/// One compilation: which component, for whom, and where the code goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompileRequest {
    /// Which compiler.
    pub tier: Tier,
    /// Which processors.
    pub cpu: Cpu,
    /// Most bytes of memory of a process that does it.
    pub memory_bytes: u64,
    /// Most processor time of it.
    pub cpu_time: Duration,
    /// How much it steps back behind others, from 0 to 19.
    pub nice: u8,
    /// What the component's bytes must hash to.
    pub digest: Digest,
    /// Where they are.
    pub component: PathBuf,
    /// An empty file that the code is written to.
    pub output: PathBuf,
}

/// Arguments that do not make a request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}; a compilation is started by a running pulselet, not by hand")]
pub struct RequestError(String);

impl CompileRequest {
    /// For a command line; [`CompileRequest::from_args`] reads them back.
    pub fn to_args(&self) -> Vec<OsString> {
        let texts = [
            self.tier.to_string(),
            self.cpu.to_string(),
            self.memory_bytes.to_string(),
            self.cpu_time.as_secs().to_string(),
            self.nice.to_string(),
            self.digest.to_string(),
        ];
        let paths = [&self.component, &self.output].map(|path| path.clone().into_os_string());
        texts.into_iter().map(OsString::from).chain(paths).collect()
    }

    /// Reads a request from a command line.
    ///
    /// # Errors
    /// When there are too few or too many, or one is not what it should be.
    pub fn from_args(args: &[OsString]) -> Result<Self, RequestError> {
        let [tier, cpu, memory, seconds, nice, digest, component, output] = args else {
            return Err(RequestError(format!("a request has 8 arguments, here are {}", args.len())));
        };
        Ok(Self {
            tier: parsed(tier)?,
            cpu: parsed(cpu)?,
            memory_bytes: parsed(memory)?,
            cpu_time: Duration::from_secs(parsed(seconds)?),
            nice: parsed(nice)?,
            digest: parsed(digest)?,
            component: component.into(),
            output: output.into(),
        })
    }

    /// All that a process does which was started for one compilation: takes on its limits, compiles, and says on stderr
    /// what went wrong. Ends with its parent.
    pub fn serve(args: &[OsString]) -> ExitCode {
        let request = match Self::from_args(args) {
            Ok(request) => request,
            Err(error) => return failed(EXIT_REQUEST, &error.to_string()),
        };
        request.limit_this_process();
        match request.compile() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                let code = match &error {
                    CompileError::Artifact { .. } => EXIT_ARTIFACT,
                    CompileError::Keep { .. } => EXIT_KEEP,
                    _ => EXIT_INVALID,
                };
                let (CompileError::Artifact { reason, .. }
                | CompileError::Keep { reason, .. }
                | CompileError::Invalid(reason)) = error
                else {
                    return failed(code, &error.to_string());
                };
                failed(code, &reason)
            }
        }
    }

    /// What a process that ended with this status, after writing this, has to say.
    pub(super) fn outcome(&self, status: u8, text: String) -> CompileError {
        match status {
            EXIT_INVALID => CompileError::Invalid(text),
            EXIT_ARTIFACT => CompileError::Artifact { path: self.component.clone(), reason: text },
            EXIT_KEEP => CompileError::Keep { path: self.output.clone(), reason: text },
            _ => CompileError::Died(format!("status {status}: {text}")),
        }
    }

    /// Compiles here and now.
    pub(super) fn compile(&self) -> Result<(), CompileError> {
        let artifact = |reason: String| CompileError::Artifact { path: self.component.clone(), reason };
        let bytes = fs::read(&self.component).map_err(|error| artifact(error.to_string()))?;
        if digest_of(&bytes) != self.digest {
            return Err(artifact("its bytes are not what they were".into()));
        }
        let invalid = |error: wasmtime::Error| CompileError::Invalid(format!("{error:#}"));
        let mut config = settings::code(self.tier, self.cpu);
        config.parallel_compilation(bytes.len() >= PARALLEL_BYTES && self.memory_bytes >= PARALLEL_MEMORY_BYTES);
        let engine = wasmtime::Engine::new(&config).map_err(invalid)?;
        let code = engine.precompile_component(&bytes).map_err(invalid)?;
        self.write(&code).map_err(|error| CompileError::Keep { path: self.output.clone(), reason: error.to_string() })
    }

    /// The file was made by whoever asked, so that nothing is left behind that nobody knows of.
    fn write(&self, code: &[u8]) -> io::Result<()> {
        OpenOptions::new().write(true).custom_flags(libc_nofollow()).open(&self.output)?.write_all(code)
    }

    /// What is refused here is only protection lost: the parent's clock still holds.
    fn limit_this_process(&self) {
        use rustix::process::{nice, set_parent_process_death_signal, setrlimit};
        let at_most = |value: u64| Rlimit { current: Some(value), maximum: Some(value) };
        let seconds = self.cpu_time.as_secs().max(1);
        let _ = set_parent_process_death_signal(Some(Signal::KILL));
        let _ = setrlimit(Resource::Data, at_most(self.memory_bytes));
        // At the first the signal says why; at the second there is no more signal to be told by.
        let _ = setrlimit(Resource::Cpu, Rlimit { current: Some(seconds), maximum: Some(seconds + 1) });
        let _ = setrlimit(Resource::Core, at_most(0));
        let _ = nice(i32::from(self.nice.min(19)));
    }
}

fn libc_nofollow() -> i32 {
    rustix::fs::OFlags::NOFOLLOW.bits().cast_signed()
}

fn parsed<T: std::str::FromStr>(argument: &OsStr) -> Result<T, RequestError>
where
    T::Err: std::fmt::Display,
{
    let text = argument.to_str().ok_or_else(|| RequestError(format!("{argument:?} is not text")))?;
    text.parse().map_err(|error| RequestError(format!("{text:?}: {error}")))
}

fn failed(code: u8, reason: &str) -> ExitCode {
    // Whoever started this may be gone.
    let _ = io::stderr().write_all(reason.as_bytes());
    ExitCode::from(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> CompileRequest {
        CompileRequest {
            tier: Tier::Winch,
            cpu: Cpu::X86_64V3,
            memory_bytes: 1 << 30,
            cpu_time: Duration::from_secs(60),
            nice: 10,
            digest: Digest([7; 32]),
            component: "a b.wasm".into(),
            output: "-out".into(),
        }
    }

    #[test]
    fn a_request_is_read_as_it_was_written() {
        assert_eq!(CompileRequest::from_args(&request().to_args()), Ok(request()));
    }

    #[test]
    fn what_is_not_a_request_is_refused() {
        assert!(CompileRequest::from_args(&[]).unwrap_err().to_string().contains("8 arguments"));
        for (at, wrong) in [(0, "gcc"), (1, "z80"), (2, "-1"), (3, "x"), (4, "300"), (5, "sha256:")] {
            let mut args = request().to_args();
            args[at] = wrong.into();
            assert!(CompileRequest::from_args(&args).is_err(), "{wrong}");
        }
    }
}
