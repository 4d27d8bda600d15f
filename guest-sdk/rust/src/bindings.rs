//! What `wit-bindgen` makes of the contract: imports once, and an export macro for each world.
//!
//! Nothing here is linked unless it is called, so a component imports exactly what its function uses.
#![allow(missing_docs, unreachable_pub, unsafe_code, rust_2018_idioms, clippy::all, reason = "generated code")]

/// What a function may import.
pub mod imports {
    wit_bindgen::generate!({ path: "wit", world: "imports", generate_all });
}

/// The world of functions that take one message a call.
pub mod function {
    wit_bindgen::generate!({
        inline: "package pulselet:sdk; world one { export pulselet:function/handler@0.1.0; }",
        path: "wit",
        generate_all,
        pub_export_macro: true,
        export_macro_name: "export_function",
    });
}

/// The world of functions that take many messages a call.
pub mod batch_function {
    wit_bindgen::generate!({
        inline: "package pulselet:sdk; world many { export pulselet:function/batch-handler@0.1.0; }",
        path: "wit",
        with: { "pulselet:function/outcome@0.1.0": super::function::pulselet::function::outcome },
        pub_export_macro: true,
        export_macro_name: "export_batch_function",
    });
}
