use std::time::Instant;

use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::HostCalls;
use crate::limiter::Limiter;
use crate::stdio::Stdio;

/// Most resources a guest may hold open at the same time: topics, streams, what it waits for.
const MAX_RESOURCES: usize = 10_000;

/// What lives beside an instance in its store.
pub(crate) struct State<H> {
    pub(crate) host: H,
    pub(crate) stdio: Stdio,
    pub(crate) limiter: Limiter,
    pub(crate) table: ResourceTable,
    /// When the present call has to be over.
    pub(crate) deadline: Instant,
    wasi: WasiCtx,
}

impl<H: HostCalls> State<H> {
    pub(crate) fn new(host: H, limits: &pulselet_api::Limits) -> Self {
        let stdio = Stdio::default();
        let mut table = ResourceTable::new();
        table.set_max_capacity(MAX_RESOURCES);
        Self {
            host,
            limiter: Limiter::new(limits),
            table,
            deadline: Instant::now(),
            wasi: nothing_but_stdio(&stdio),
            stdio,
        }
    }

    /// A call begins.
    pub(crate) fn begin(&mut self, deadline: Instant) {
        self.deadline = deadline;
        self.stdio.forget_quote();
        self.limiter.take_refusal();
    }

    /// Logs what is left of it at the end of a call.
    pub(crate) fn finish_stdio(&mut self) {
        self.stdio.finish(&mut self.host);
    }

    /// Logs what the guest has written so far.
    pub(crate) fn pass_on_stdio(&mut self) {
        self.stdio.pass_on(&mut self.host);
    }
}

/// No arguments, no environment, no folders, empty input, and sockets that open nothing; clocks and randomness are real.
fn nothing_but_stdio(stdio: &Stdio) -> WasiCtx {
    WasiCtx::builder()
        .stdout(stdio.stdout())
        .stderr(stdio.stderr())
        .allow_tcp(false)
        .allow_udp(false)
        .allow_ip_name_lookup(false)
        .build()
}

impl<H: HostCalls> WasiView for State<H> {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}
