use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use pulselet_api::{Declared, Errors, Problem};
use serde::Serialize;

use crate::component::Component;
use crate::declarations;
use crate::failure::{BAD_COMPONENT, BAD_DECLARATION, explain};
use crate::output::{Output, say};

/// Check declarations, and the components they name
#[derive(Args, Debug)]
#[command(after_long_help = "\
All that is wrong is told at once, each with its place, the rule and what to do. A component that is there is looked at:
whether it can run, and whether it is granted what it asks for. Nothing is run.

Examples:
    pulselet validate function.yaml
    pulselet validate functions/*.yaml --output json")]
pub(crate) struct ValidateArgs {
    /// Declarations (YAML or JSON); a file may hold several functions
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// What was found.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    valid: bool,
    /// What is wrong with the declarations; if there is any, nothing is said of the functions.
    problems: Vec<Problem>,
    functions: Vec<Checked>,
}

/// A function whose declaration is right.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Checked {
    function: String,
    source: String,
    warnings: Vec<Problem>,
    /// What was looked at; null when there is no such file yet.
    component: Option<Component>,
    /// Where it should be.
    location: String,
    /// Why it would be refused.
    objections: Vec<String>,
}

pub(crate) fn run(args: &ValidateArgs, output: &Output) -> anyhow::Result<ExitCode> {
    let report = match declarations::read(&args.files) {
        Ok(declared) => {
            let functions: Vec<Checked> = declared.into_iter().map(check).collect();
            let valid = functions.iter().all(|function| function.objections.is_empty());
            Report { valid, problems: Vec::new(), functions }
        }
        Err(error) => {
            let problems = error.downcast::<Errors>()?.into_vec();
            Report { valid: false, problems, functions: Vec::new() }
        }
    };
    if !output.is_json() {
        let warnings = report.functions.iter().flat_map(|function| &function.warnings);
        let told: Vec<_> = report.problems.iter().chain(warnings).collect();
        if !told.is_empty() {
            say!("{}", explain(output, &told).trim_end());
        }
        for function in &report.functions {
            for objection in &function.objections {
                say!("{} {}: {objection}", output.red("error:"), function.function);
            }
        }
    }
    output.show(&report, describe)?;
    Ok(match &report {
        Report { valid: true, .. } => ExitCode::SUCCESS,
        Report { problems, .. } if problems.is_empty() => BAD_COMPONENT.into(),
        _ => BAD_DECLARATION.into(),
    })
}

fn check(declared: Declared) -> Checked {
    let folder = declarations::base_dir(&declared);
    let function = &declared.resolved;
    let (component, objections) = match Component::path_of(function, folder).map(|path| Component::read(&path)) {
        None => (None, Vec::new()),
        Some(Ok(component)) => {
            let objections = component.objections(function);
            (Some(component), objections)
        }
        Some(Err(error)) => (None, vec![format!("{error:#}")]),
    };
    Checked {
        function: function.name.to_string(),
        location: function.component.location.in_folder(folder).to_string(),
        component,
        objections,
        source: declared.source,
        warnings: declared.warnings,
    }
}

fn describe(report: &Report) -> String {
    let lines = report.functions.iter().filter(|function| function.objections.is_empty()).map(|function| {
        let component = match &function.component {
            Some(component) => format!("component {}", component.digest),
            None => format!("component not looked at, {} is not here", function.location),
        };
        format!("{}: ok, {component}\n", function.function)
    });
    lines.collect()
}
