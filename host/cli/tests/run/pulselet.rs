use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// A folder with declarations and data, and the binary to run them with.
pub(crate) struct Bench {
    pub(crate) dir: tempfile::TempDir,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// Writes a declaration of `component` that reads `input` and answers to `output`; `spec` is more of it.
    pub(crate) fn declare(&self, name: &str, component: &Path, input: &str, output: &str, spec: &str) -> PathBuf {
        let more: String = spec.lines().map(|line| format!("  {line}\n")).collect();
        let text = format!(
            "apiVersion: pulselet.dev/v1alpha1\nkind: Function\nmetadata: {{name: {name}}}\nspec:\n  wasm: {{location: {}}}\n  input: {{topics: [{input}]}}\n  output: {{topic: {output}}}\n{more}",
            component.display()
        );
        self.write(&format!("{name}.yaml"), &text)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pulselet"));
        command
            .current_dir(self.dir.path())
            // One store for all tests, so that a component is compiled once.
            .env("PULSELET_ENGINE_DIR", Path::new(env!("CARGO_TARGET_TMPDIR")).join("engine"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs to the end with these lines piped in.
    pub(crate) fn filter(&self, args: &[&str], input: &[u8]) -> Output {
        let mut child = self.command().arg("run").args(args).stdin(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_vec();
        let feeder = std::thread::spawn(move || stdin.write_all(&input).ok());
        let output = child.wait_with_output().unwrap();
        feeder.join().unwrap();
        output
    }
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Ends the process when the test ends, however it ends.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}
