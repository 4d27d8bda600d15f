#![allow(unsafe_code, reason = "code that was compiled here is trusted")]

use std::path::Path;

use anyhow::{Context, Result, anyhow, ensure};
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{
    Component, ComponentExportIndex, ComponentType, InstancePre, Lift, Linker, LinkerInstance, ResourceTable,
    ResourceType, TypedFunc,
};
use wasmtime::{Config, Enabled, InstanceAllocationStrategy, PoolingAllocationConfig, Store};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

/// Wasmtime without anything around it.
pub(crate) struct Bare {
    engine: wasmtime::Engine,
    linker: Linker<Wasi>,
}

pub(crate) struct BareLoaded {
    engine: wasmtime::Engine,
    pre: InstancePre<Wasi>,
    export: ComponentExportIndex,
}

pub(crate) struct BareInstance {
    store: Store<Wasi>,
    process: TypedFunc<(&'static [u8],), (Answered,)>,
}

impl Bare {
    /// An engine with a linker for what this component imports.
    pub(crate) fn new(component: &[u8]) -> Result<Self> {
        let engine = wasmtime::Engine::new(&config()).map_err(failed)?;
        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker).map_err(failed)?;
        let component = Component::from_binary(&engine, component).map_err(failed)?;
        trap_the_rest(&mut linker, &component).map_err(failed)?;
        Ok(Self { engine, linker })
    }

    /// Code for a file.
    pub(crate) fn compile(&self, component: &[u8]) -> Result<Vec<u8>> {
        self.engine.precompile_component(component).map_err(failed)
    }

    pub(crate) fn load(&self, code: &Path) -> Result<BareLoaded> {
        // SAFETY: the file is what the compiler of this process gave, and nobody changes it.
        let component = unsafe { Component::deserialize_file(&self.engine, code) }.map_err(failed)?;
        let pre = self.linker.instantiate_pre(&component).map_err(failed)?;
        let export = component
            .get_export_index(None, "pulselet:function/handler@0.1.0")
            .and_then(|interface| component.get_export_index(Some(&interface), "process"))
            .context("it exports no handler")?;
        Ok(BareLoaded { engine: self.engine.clone(), pre, export })
    }
}

impl BareLoaded {
    pub(crate) async fn instantiate(&self) -> Result<BareInstance> {
        let wasi = Wasi { context: WasiCtx::builder().build(), table: ResourceTable::new() };
        let mut store = Store::new(&self.engine, wasi);
        store.set_epoch_deadline(u64::MAX / 2);
        let instance = self.pre.instantiate_async(&mut store).await.map_err(failed)?;
        let process = instance.get_typed_func(&mut store, self.export).map_err(failed)?;
        Ok(BareInstance { store, process })
    }
}

impl BareInstance {
    pub(crate) async fn process(&mut self, payload: &[u8]) -> Result<()> {
        // The copy shortens the lifetime in its type.
        let process: TypedFunc<(&[u8],), (Answered,)> = self.process;
        let (answered,) = process.call_async(&mut self.store, (payload,)).await.map_err(failed)?;
        ensure!(answered.is_ok(), "the guest failed");
        Ok(())
    }
}

/// As the engine's settings have it.
fn config() -> Config {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_memories(10)
        .total_tables(40)
        .total_stacks(10)
        .total_component_instances(u32::MAX)
        .total_core_instances(u32::MAX)
        .max_core_instances_per_component(1_000)
        .max_memory_size(4 << 30)
        .table_elements(100_000)
        .linear_memory_keep_resident(0)
        .table_keep_resident(0)
        .pagemap_scan(Enabled::No);
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .memory_init_cow(true)
        .concurrency_support(false)
        .gc_support(false)
        .native_unwind_info(false)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    config
}

/// Not wasmtime's own stubs: those would hide the WASI functions that are linked under another patch version.
fn trap_the_rest(linker: &mut Linker<Wasi>, component: &Component) -> wasmtime::Result<()> {
    let engine = component.engine();
    for (name, item) in component.component_type().imports(engine) {
        let ComponentItem::ComponentInstance(interface) = item.ty else { continue };
        if name.starts_with("wasi:") && !name.starts_with("wasi:logging/") && !name.starts_with("wasi:config/") {
            continue;
        }
        let mut instance = linker.instance(name)?;
        for (name, item) in interface.exports(engine) {
            trap(&mut instance, name, &item.ty)?;
        }
    }
    Ok(())
}

fn trap(instance: &mut LinkerInstance<'_, Wasi>, name: &str, item: &ComponentItem) -> wasmtime::Result<()> {
    match item {
        ComponentItem::ComponentFunc(_) => {
            instance.func_new(name, |_, _, _, _| Err(wasmtime::format_err!("not to be called")))
        }
        ComponentItem::Resource(_) => instance.resource(name, ResourceType::host::<()>(), |_, _| Ok(())),
        _ => Ok(()),
    }
}

struct Wasi {
    context: WasiCtx,
    table: ResourceTable,
}

impl WasiView for Wasi {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.context, table: &mut self.table }
    }
}

type Answered = std::result::Result<Option<Vec<u8>>, Failure>;

#[derive(ComponentType, Lift)]
#[component(variant)]
enum Failure {
    #[component(name = "retry")]
    Retry(#[allow(dead_code, reason = "only there to be lifted")] Again),
    #[component(name = "reject")]
    Reject(#[allow(dead_code, reason = "only there to be lifted")] String),
    #[component(name = "fatal")]
    Fatal(#[allow(dead_code, reason = "only there to be lifted")] String),
}

#[derive(ComponentType, Lift)]
#[component(record)]
struct Again {
    #[allow(dead_code, reason = "only there to be lifted")]
    reason: String,
    #[allow(dead_code, reason = "only there to be lifted")]
    delay: Option<u64>,
}

fn failed(error: wasmtime::Error) -> anyhow::Error {
    anyhow!("{error:#}")
}
