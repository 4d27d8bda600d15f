//! What goes wrong, on stderr, and what the process ends with.

use std::fmt::Write as _;
use std::fs;
use std::process::ExitCode;

use pulselet_api::{Errors, Place, Problem};
use pulselet_broker_embedded::OpenError;
use pulselet_engine::{ArtifactError, AssignError, InspectError, LoadError, StartError};
use pulselet_runner::DeployError;
use serde_json::json;

use crate::output::{Output, say};

/// A declaration is wrong.
pub(crate) const BAD_DECLARATION: u8 = 64;
/// A component cannot run.
pub(crate) const BAD_COMPONENT: u8 = 65;
/// What is said of components, from getting their bytes to linking them.
const BAD_COMPONENT_CODES: std::ops::RangeInclusive<&str> = "E2001"..="E2031";

/// Tells what went wrong; returns what the process ends with.
pub(crate) fn report(output: &Output, error: &anyhow::Error) -> ExitCode {
    if is_broken_pipe(error) {
        // Whoever read our stdout has seen enough.
        return ExitCode::SUCCESS;
    }
    let status = status(error);
    let problems = error.downcast_ref::<Errors>();
    if output.is_json() {
        let errors = problems.map(|errors| json!(errors));
        say!("{}", json!({ "error": format!("{error:#}"), "code": code(error), "status": status, "problems": errors }));
    } else if let Some(errors) = problems {
        let problems: Vec<&Problem> = errors.iter().collect();
        say!("{}", explain(output, &problems).trim_end());
    } else {
        let kind = code(error).map_or_else(|| "error:".to_owned(), |code| format!("error[{code}]:"));
        say!("{} {error:#}", output.red(&kind));
    }
    ExitCode::from(status)
}

fn status(error: &anyhow::Error) -> u8 {
    if error.is::<Errors>() {
        return BAD_DECLARATION;
    }
    match code(error) {
        Some(code) if is_of_component(code) => BAD_COMPONENT,
        _ => 1,
    }
}

/// True for the codes of what can be wrong with a component.
pub(crate) fn is_of_component(code: &str) -> bool {
    BAD_COMPONENT_CODES.contains(&code)
}

/// The stable code of what went wrong, if it has one; see `docs/errors-host.md`.
fn code(error: &anyhow::Error) -> Option<&'static str> {
    error.chain().find_map(|cause| {
        let assign = match cause.downcast_ref::<DeployError>() {
            Some(DeployError::Assign(error)) => Some(error),
            _ => cause.downcast_ref::<AssignError>(),
        };
        assign
            .map(AssignError::code)
            .or_else(|| cause.downcast_ref::<InspectError>().map(InspectError::code))
            .or_else(|| cause.downcast_ref::<ArtifactError>().map(ArtifactError::code))
            .or_else(|| cause.downcast_ref::<LoadError>().map(LoadError::code))
            .or_else(|| cause.downcast_ref::<StartError>().map(StartError::code))
            .or_else(|| cause.downcast_ref::<OpenError>().map(OpenError::code))
    })
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.chain().find_map(|cause| cause.downcast_ref::<std::io::Error>());
    io.is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

/// Problems of declarations, each with the line it is in, for people.
pub(crate) fn explain(output: &Output, problems: &[&Problem]) -> String {
    let mut text = String::new();
    for problem in problems {
        let code = format!("[{}]", problem.rule.code());
        let kind = if problem.is_error() {
            output.red(&format!("error{code}"))
        } else {
            output.yellow(&format!("warning{code}"))
        };
        let parts = [problem.path.as_str(), problem.found.as_str()];
        let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        // Writing to a string does not fail.
        let _ = writeln!(text, "{kind}: {}", parts.join(": "));
        let _ = match problem.place {
            Some(place) => write!(text, "{}", excerpt(output, &problem.source, place)),
            None => writeln!(text, "  {} {}", output.blue("-->"), problem.source),
        };
        let _ = writeln!(text, "   {} {}", output.blue("="), problem.because);
        if !problem.remedy.is_empty() {
            let _ = writeln!(text, "   {} {}", output.blue("= help:"), problem.remedy);
        }
        text.push('\n');
    }
    let errors = problems.iter().filter(|problem| problem.is_error()).count();
    if errors > 1 {
        let _ = writeln!(text, "{} {errors} errors", output.red("error:"));
    }
    text
}

/// The line that a place is in, and a mark below it.
fn excerpt(output: &Output, source: &str, place: Place) -> String {
    let Place { line, column } = place;
    let arrow = output.blue("-->");
    let mut text = format!("  {arrow} {source}:{line}:{column}\n");
    let contents = fs::read_to_string(source).unwrap_or_default();
    let number = usize::try_from(line).unwrap_or(usize::MAX);
    // A line is shown if it fits on a screen.
    let Some(shown) = contents.lines().nth(number.saturating_sub(1)).filter(|line| line.chars().count() <= 160) else {
        return text;
    };
    let bar = output.blue("|");
    let margin = " ".repeat(line.to_string().len());
    let before: String = shown
        .chars()
        .take(usize::try_from(column).unwrap_or(usize::MAX).saturating_sub(1))
        .map(|c| if c == '\t' { '\t' } else { ' ' })
        .collect();
    // Writing to a string does not fail.
    let _ = writeln!(text, "{margin} {bar}\n{} {bar} {shown}", output.blue(&line.to_string()));
    let _ = writeln!(text, "{margin} {bar} {before}{}", output.red("^"));
    text
}
