use proc_macro2::{Span, TokenStream};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Error, FnArg, ItemFn, Meta, Result, Token, Type};

/// Which world the function is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// One message a call.
    Single,
    /// Many messages a call.
    Batch,
}

/// What a function takes, in the order it takes it.
pub(crate) enum Parameter {
    Context,
    Input(Box<Type>),
}

/// Reads the arguments of `#[pulselet::function(…)]`.
pub(crate) fn form(arguments: TokenStream) -> Result<Form> {
    let arguments = syn::parse::Parser::parse2(Punctuated::<Meta, Token![,]>::parse_terminated, arguments)?;
    let mut form = Form::Single;
    for argument in &arguments {
        if !matches!(argument, Meta::Path(path) if path.is_ident("batch")) {
            return Err(Error::new(
                argument.span(),
                "unknown argument: write `#[pulselet::function]` or `#[pulselet::function(batch)]`; \
                 topics, names and limits are declared in function.yaml",
            ));
        }
        form = Form::Batch;
    }
    Ok(form)
}

/// `#[pulselet::batch_function]` takes none.
pub(crate) fn no_arguments(arguments: TokenStream) -> Result<()> {
    if arguments.is_empty() {
        return Ok(());
    }
    Err(Error::new(
        arguments.span(),
        "unknown argument: write `#[pulselet::batch_function]`; topics, names and limits are declared in function.yaml",
    ))
}

/// Checks the signature; all that is wrong with it is reported at once.
pub(crate) fn parameters(form: Form, function: &ItemFn) -> Result<Vec<Parameter>> {
    let mut faults = Faults::default();
    check_qualifiers(function, &mut faults);

    let mut parameters = Vec::new();
    let mut contexts = 0;
    let mut inputs = 0;
    for argument in &function.sig.inputs {
        let FnArg::Typed(argument) = argument else {
            faults.add(
                argument.span(),
                "a Pulselet function is a free function: move it out of the impl and take no `self`",
            );
            return faults.into_result().map(|()| parameters);
        };
        if let Some(name) = context_name(&argument.ty) {
            contexts += 1;
            check_context(form, name, contexts, &argument.ty, &mut faults);
            parameters.push(Parameter::Context);
        } else {
            inputs += 1;
            check_input(form, &argument.ty, &mut faults);
            if inputs == 2 {
                faults.add(argument.ty.span(), TOO_MANY);
            }
            parameters.push(Parameter::Input(argument.ty.clone()));
        }
    }
    if inputs == 0 {
        faults.add(function.sig.paren_token.span.join(), no_input(form));
    }
    faults.into_result().map(|()| parameters)
}

const GENERIC: &str = "a Pulselet function has no generic parameters: write concrete types, and leave lifetimes out";
const TOO_MANY: &str = "a Pulselet function takes one payload and, where it wants one, a `&Context`: \
                        read what else you need (key, properties, configuration) from the context";

fn no_input(form: Form) -> &'static str {
    match form {
        Form::Single => {
            "a Pulselet function takes the payload: add a parameter such as `input: String` or `input: &[u8]`"
        }
        Form::Batch => "a batch function takes the payloads: add a parameter such as `inputs: Vec<String>`",
    }
}

fn check_qualifiers(function: &ItemFn, faults: &mut Faults) {
    let signature = &function.sig;
    if let Some(keyword) = &signature.asyncness {
        faults.add(
            keyword.span,
            "a Pulselet function is not async: remove `async`; calls to the host wait by themselves \
             without holding up other functions",
        );
    }
    if !signature.generics.params.is_empty() {
        faults.add(signature.generics.span(), GENERIC);
    }
    if let Some(keyword) = &signature.unsafety {
        faults.add(keyword.span, "a Pulselet function is safe to call: remove `unsafe`");
    }
    if let Some(abi) = &signature.abi {
        faults.add(abi.span(), "a Pulselet function is a Rust function: remove `extern`");
    }
    if let Some(dots) = &signature.variadic {
        faults.add(dots.span(), TOO_MANY);
    }
}

fn check_input(form: Form, ty: &Type, faults: &mut Faults) {
    if matches!(ty, Type::ImplTrait(_)) {
        faults.add(ty.span(), GENERIC);
    } else if form == Form::Batch && !is_list(ty) {
        faults.add(
            ty.span(),
            "a batch function takes many messages at once: write `Vec<T>` or `&[T]`, such as `Vec<String>`",
        );
    }
}

fn is_list(ty: &Type) -> bool {
    match ty {
        Type::Reference(reference) => matches!(*reference.elem, Type::Slice(_)),
        Type::Path(path) => path.path.segments.last().is_some_and(|last| last.ident == "Vec"),
        _ => false,
    }
}

fn check_context(form: Form, name: &str, count: usize, ty: &Type, faults: &mut Faults) {
    if count == 2 {
        faults.add(ty.span(), "one context is enough: remove this parameter");
    }
    match ty {
        Type::Reference(reference) if reference.mutability.is_none() => {}
        _ => faults.add(ty.span(), "the context is borrowed: write `&Context`"),
    }
    if form == Form::Batch && name == "Context" {
        faults.add(
            ty.span(),
            "in a batch each message has its own context: take `Vec<Record<T>>` and use `record.context`; \
             for configuration, secrets and metrics take `&FunctionContext`",
        );
    }
}

/// The name of a context type, whether it is borrowed or, wrongly, not.
fn context_name(ty: &Type) -> Option<&'static str> {
    match ty {
        Type::Reference(reference) => context_name(&reference.elem),
        Type::Path(path) => {
            let last = path.path.segments.last()?;
            ["Context", "FunctionContext"].into_iter().find(|name| last.ident == name)
        }
        _ => None,
    }
}

#[derive(Default)]
struct Faults(Option<Error>);

impl Faults {
    fn add(&mut self, span: Span, text: &str) {
        let error = Error::new(span, text);
        match &mut self.0 {
            Some(first) => first.combine(error),
            None => self.0 = Some(error),
        }
    }

    fn into_result(self) -> Result<()> {
        self.0.map_or(Ok(()), Err)
    }
}
