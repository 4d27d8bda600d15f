use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Error, Item, ItemFn, Result, ReturnType, Type};

use crate::signature::{Form, Parameter, parameters};

/// The function as it was written, and beside it its glue or what is wrong with it.
pub(crate) fn expand(form: Result<Form>, item: TokenStream) -> TokenStream {
    let glued = form.and_then(|form| {
        let function = function(item.clone())?;
        let parameters = parameters(form, &function)?;
        Ok(glue(form, &function, &parameters))
    });
    match glued {
        Ok(glue) => quote! { #item #glue },
        // The item stays, so that the compiler does not also miss it; the error is the one thing to be said of it.
        Err(error) => {
            let error = error.into_compile_error();
            quote! { #[allow(unused)] #item #error }
        }
    }
}

fn function(item: TokenStream) -> Result<ItemFn> {
    match syn::parse2(item)? {
        Item::Fn(function) => Ok(function),
        other => Err(Error::new(other.span(), "this attribute goes on a function: `fn name(input: String) -> String`")),
    }
}

/// A type of the function's name stands for it where types are named: `harness!(name)` in tests, the export in a
/// component. Types and functions do not get into each other's way.
fn glue(form: Form, function: &ItemFn, parameters: &[Parameter]) -> TokenStream {
    let name = &function.sig.ident;
    let visibility = &function.vis;
    let answer = match &function.sig.output {
        ReturnType::Default => Span::call_site(),
        ReturnType::Type(_, ty) => ty.span(),
    };
    let (implementation, form) = match form {
        Form::Single => (single(name, parameters, answer), quote!(function)),
        Form::Batch => (batch(name, parameters, answer), quote!(batch_function)),
    };
    quote! {
        #[doc(hidden)]
        #[allow(non_camel_case_types, missing_docs, missing_debug_implementations)]
        #visibility struct #name {}
        #implementation
        ::pulselet::__entry!(#form #name);
    }
}

fn single(name: &Ident, parameters: &[Parameter], answer: Span) -> TokenStream {
    let arguments = parameters.iter().map(|parameter| match parameter {
        Parameter::Context => quote!(&::pulselet::__rt::context()),
        Parameter::Input(ty) => quote_spanned!(ty.span()=> ::pulselet::__rt::input::<#ty>(&mut payload)?),
    });
    let call = quote!(#name(#(#arguments),*));
    let answer = quote_spanned!(answer=> ::pulselet::IntoAnswer::into_answer(output));
    quote! {
        impl ::pulselet::__rt::Function for #name {
            fn process(mut payload: ::std::vec::Vec<u8>) -> ::pulselet::Answer {
                let output = #call;
                #answer
            }
        }
    }
}

fn batch(name: &Ident, parameters: &[Parameter], answer: Span) -> TokenStream {
    let arguments = parameters.iter().map(|parameter| match parameter {
        Parameter::Context => quote!(::pulselet::__rt::function_context()),
        Parameter::Input(ty) if matches!(**ty, Type::Reference(_)) => quote_spanned!(ty.span()=> &inputs),
        Parameter::Input(ty) => quote_spanned!(ty.span()=> inputs),
    });
    let answers = quote_spanned!(answer=> ::pulselet::IntoAnswers::into_answers(outputs, count));
    quote! {
        impl ::pulselet::__rt::BatchFunction for #name {
            fn process_batch(mut payloads: ::std::vec::Vec<::std::vec::Vec<u8>>) -> ::std::vec::Vec<::pulselet::Answer> {
                ::pulselet::__rt::batch(&mut payloads, |inputs| {
                    let count = inputs.len();
                    let outputs = #name(#(#arguments),*);
                    #answers
                })
            }
        }
    }
}
