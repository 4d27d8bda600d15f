use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::Value as Json;

use crate::document::{self, Node};
use crate::function::Function;
use crate::problem::{Errors, Place, Problem};
use crate::resolve;
use crate::resolved::{FunctionName, Resolved};
use crate::rule::Rule;
use crate::shape::{Shape, join};

/// A function that was declared in a text and found right.
#[derive(Clone, Debug, PartialEq)]
pub struct Declared {
    /// As it was written.
    pub function: Function,
    /// As it runs.
    pub resolved: Resolved,
    /// What is allowed, and probably not meant so.
    pub warnings: Vec<Problem>,
    /// The text it comes from: a file name as a rule.
    pub source: String,
    /// Where in it.
    pub place: Option<Place>,
}

/// Reads the functions of one text, YAML (one or several documents) or JSON.
///
/// `source` names the text in messages. Nothing is read from anywhere else.
///
/// # Errors
/// Everything that is wrong, in the order of the text: what is not YAML, unknown fields, wrong types, broken rules, a
/// function declared twice, a text that declares nothing.
pub fn parse(text: &str, source: &str) -> Result<Vec<Declared>, Errors> {
    parse_all([(source, text)])
}

/// Reads the functions of several texts that are to run together, each with its name, and checks that no function is
/// declared twice among them.
///
/// # Errors
/// As [`parse`], of all texts.
pub fn parse_all<'a>(texts: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Vec<Declared>, Errors> {
    let mut declared = Vec::new();
    let mut problems = Vec::new();
    for (source, text) in texts {
        let from = problems.len();
        match document::read(text) {
            Ok(documents) if documents.is_empty() => {
                let remedy = "begin with `apiVersion: pulselet.dev/v1alpha1`, `kind: Function`";
                problems.push(Problem::new(Rule::NoFunction, "", "no function is declared").remedy(remedy));
            }
            Ok(documents) => {
                for document in documents {
                    match read_function(document) {
                        Ok(function) => declared.push(Declared { source: source.to_owned(), ..function }),
                        Err(found) => problems.extend(found),
                    }
                }
            }
            Err(errors) => problems.extend(errors.into_vec()),
        }
        for problem in problems.iter_mut().skip(from) {
            source.clone_into(&mut problem.source);
        }
    }
    problems.extend(declared_twice(&declared));
    Errors::check(problems)?;
    for function in &mut declared {
        for warning in &mut function.warnings {
            function.source.clone_into(&mut warning.source);
        }
    }
    Ok(declared)
}

static SCHEMA: LazyLock<Json> = LazyLock::new(crate::schema);

fn read_function(mut document: Node) -> Result<Declared, Vec<Problem>> {
    let place = document.place;
    let mut shape = Shape::default();
    shape.fit(&SCHEMA, "", &mut document);
    let mut problems = std::mem::take(&mut shape.problems);
    if problems.iter().any(|problem| problem.path.is_empty() || problem.path == "kind") {
        // Not a function at all: what its fields would have to be says nothing.
        problems.retain(|problem| ["", "kind", "apiVersion"].contains(&problem.path.as_str()));
        return Err(problems);
    }
    let function: Function = match serde_json::from_value(document.into()) {
        Ok(function) => function,
        Err(error) => {
            problems.push(Problem::new(Rule::WrongType, "", error.to_string()).at(place));
            return Err(problems);
        }
    };
    let (resolved, mut found) = resolve::check(&function);
    found.retain(|problem| !depends_on(problem, &problems));
    for problem in &mut found {
        problem.place = shape.place(&problem.path);
    }
    let warnings: Vec<Problem> = found.iter().filter(|problem| !problem.is_error()).cloned().collect();
    problems.extend(found.into_iter().filter(Problem::is_error));
    if !problems.is_empty() {
        problems.sort_by_key(|problem| problem.place);
        return Err(problems);
    }
    let place = shape.place(&join("metadata", "name")).or(place);
    Ok(Declared { function, resolved, warnings, source: String::new(), place })
}

/// True when one of the fields that a rule looks at has been found wrong already: what the rule then says about it, or
/// about its absence, would be noise.
fn depends_on(problem: &Problem, earlier: &[Problem]) -> bool {
    let touches = |path: &str, wrong: &str| is_within(path, wrong) || is_within(wrong, path);
    earlier.iter().any(|wrong| problem.paths().any(|path| touches(path, &wrong.path)))
}

fn is_within(inner: &str, outer: &str) -> bool {
    inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

fn declared_twice(declared: &[Declared]) -> Vec<Problem> {
    let mut first: BTreeMap<&FunctionName, &Declared> = BTreeMap::new();
    let mut problems = Vec::new();
    for function in declared {
        let name = &function.resolved.name;
        let Some(earlier) = first.get(name) else {
            first.insert(name, function);
            continue;
        };
        let line = earlier.place.map(|place| format!(":{}", place.line)).unwrap_or_default();
        let mut problem = Problem::new(Rule::DuplicateFunction, "metadata.name", format!("{:?}", name.name))
            .because(format!("{name} is declared in {}{line} already", earlier.source))
            .remedy("rename one of them, or remove it")
            .at(function.place);
        function.source.clone_into(&mut problem.source);
        problems.push(problem);
    }
    problems
}
