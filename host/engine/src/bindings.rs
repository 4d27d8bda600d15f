//! Generated from `wit/`: the host's side of every import, and the types both sides share. The standard interfaces come
//! from wasmtime-wasi.
#![allow(missing_docs, unreachable_pub, clippy::all, reason = "generated")]

wasmtime::component::bindgen!({
    path: "../../wit",
    inline: "
        package pulselet:engine;

        world host {
            include pulselet:function/imports@0.1.0;
            import pulselet:function/outcome@0.1.0;
        }
    ",
    imports: {
        "pulselet:function/publish-now": async,
        "pulselet:function/context": trappable,
        "pulselet:function/publish": trappable,
        "pulselet:function/settle.handle": trappable,
    },
    with: {
        "pulselet:function/publish.topic-producer": crate::TopicNumber,
    },
});
