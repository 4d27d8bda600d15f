use pulselet_api::World;
use tokio::sync::OwnedSemaphorePermit;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, ComponentExportIndex, InstancePre, Linker, TypedFunc};

use crate::bindings::pulselet::function::outcome;
use crate::state::State;
use crate::{Answer, Budgets, HostCalls, Tier};

/// What a guest answers for one message.
pub(crate) type Answered = Result<Answer, outcome::Error>;
// The lifetimes are shortened at each call: a function that takes any slice takes a short-lived one.
pub(crate) type Process = TypedFunc<(&'static [u8],), (Answered,)>;
pub(crate) type ProcessBatch = TypedFunc<(&'static [&'static [u8]],), (Vec<Answered>,)>;

/// A component in memory, linked and looked up: what is left to do for an instance depends on nothing but the pool.
pub(crate) struct Code<H: 'static> {
    pub(crate) pre: InstancePre<State<H>>,
    pub(crate) world: World,
    pub(crate) tier: Tier,
    /// Which code of its component: later ones have higher numbers.
    pub(crate) number: u32,
    /// Memory it takes, by estimate.
    pub(crate) bytes: u64,
    pub(crate) export: ComponentExportIndex,
    /// How many instances' places an instance takes.
    pub(crate) places: u32,
    /// At the start of an instance.
    pub(crate) memory_bytes: u64,
    /// At the start of an instance, of the largest table.
    pub(crate) table_elements: u64,
    _room: OwnedSemaphorePermit,
}

const PAGE_BYTES: u64 = 64 << 10;
/// What a loaded component takes whatever its size ...
const LOADED_BYTES: u64 = 24 << 10;
/// ... and for how many bytes of its file one more: names, types and tables of functions, as found with components
/// of 64 KiB to 18 MiB.
const FILE_BYTES_PER_LOADED_BYTE: u64 = 20;

/// What is known of code that is about to be linked.
pub(crate) struct Facts {
    pub(crate) world: World,
    pub(crate) tier: Tier,
    pub(crate) number: u32,
    pub(crate) file_bytes: u64,
}

impl<H: HostCalls> Code<H> {
    /// Links a mapped component. What fails here fails always: the component does not fit.
    pub(crate) fn link(
        component: &Component,
        Facts { world, tier, number, file_bytes }: Facts,
        linker: &Linker<State<H>>,
        room: OwnedSemaphorePermit,
    ) -> wasmtime::Result<Self> {
        let pre = linker.instantiate_pre(component)?;
        let export = find_export(&pre, world)?;
        let needs = component
            .resources_required()
            .ok_or_else(|| wasmtime::format_err!("it imports core modules, so what it needs cannot be told"))?;
        Ok(Self {
            world,
            tier,
            number,
            bytes: LOADED_BYTES + file_bytes / FILE_BYTES_PER_LOADED_BYTE,
            export,
            places: Budgets::places(needs.num_memories, needs.num_tables),
            memory_bytes: needs.max_initial_memory_size.unwrap_or(0).saturating_mul(PAGE_BYTES),
            table_elements: needs.max_initial_table_size.unwrap_or(0),
            pre,
            _room: room,
        })
    }
}

/// Finds the function and sees that it has the contract's type, so that no instance is ever made in vain.
fn find_export<H: HostCalls>(pre: &InstancePre<State<H>>, world: World) -> wasmtime::Result<ComponentExportIndex> {
    let (interface, function) = match world {
        World::Function => ("pulselet:function/handler@0.1.0", "process"),
        World::BatchFunction => ("pulselet:function/batch-handler@0.1.0", "process-batch"),
    };
    let component = pre.component();
    let missing = || wasmtime::format_err!("`{interface}` has no function `{function}`");
    let interface = component.get_export_index(None, interface).ok_or_else(missing)?;
    let (item, export) = component.get_export(Some(&interface), function).ok_or_else(missing)?;
    let ComponentItem::ComponentFunc(signature) = item else {
        return Err(missing());
    };
    let types = pre.instance_type();
    match world {
        World::Function => signature.typecheck::<(&[u8],), (Answered,)>(&types),
        World::BatchFunction => signature.typecheck::<(&[&[u8]],), (Vec<Answered>,)>(&types),
    }
    .map_err(|error| error.context(format!("`{function}` has another type than the contract's")))?;
    Ok(export)
}
