//! What a guest may ask of the host: the state behind it, and the functions of `host`,
//! `source-context` and `sink-context`.
//!
//! The state lives in the store of one instance and dies with it. Nothing here waits for longer than a
//! lock, except `source-context.offsets` and `host.secret`, which wait for the offset store and for files and are
//! bounded by the deadline of the call they are part of. Everything a guest can make the host keep is bounded: log lines
//! by rate, metrics by number, requests by what is assigned, resources by the table.

use super::bindings::{host, net, sink_context, source_context, types};
use super::engine::Engine;
use super::files::{Files, FilesView};
use super::grants::{GrantError, Granted};
use super::limits::{HANDLES, Limits};
use super::log::{GuestLog, Level, Speaker, Stdio};
use super::meters::Meters;
use super::net::{DialError, Dialled, Http, Net, NetView, Resolved, Sockets};
use super::refusals::Refusals;
use super::requests::SinkDesk;
use super::secrets;
use crate::config::{NetScheme, Sandbox, Vault};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use wasmtime::component::{HasSelf, Linker, ResourceTable};
use wasmtime_wasi::cli::{WasiCli, WasiCliView as _};
use wasmtime_wasi::filesystem::WasiFilesystemView as _;
use wasmtime_wasi::p2::bindings::{cli, filesystem, random, sockets};
use wasmtime_wasi::random::WasiRandom;
use wasmtime_wasi::sockets::{WasiSockets, WasiSocketsView as _};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::p2::bindings::http;
use wasmtime_wasi_http::{WasiHttp, WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

/// What `source-context.offsets` asks: the durable offsets of source partitions.
pub(crate) trait OffsetLookup: Send + Sync {
    /// JSON array of partitions in, JSON array of offsets (or nulls) out.
    fn offsets<'a>(&'a self, partitions: &'a str) -> BoxFuture<'a, Result<String, String>>;
}

/// A future that is called through a trait object.
pub(crate) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What a task gives the instance it makes.
#[derive(Clone)]
pub(crate) struct Setup {
    /// The connector's name, for the log.
    pub(crate) connector: Arc<str>,
    /// The task's number; `None` for the connector itself.
    pub(crate) task: Option<u32>,
    /// Grants and limits of the plugin.
    pub(crate) sandbox: Arc<Sandbox>,
    /// What `host.should-stop` answers.
    pub(crate) should_stop: Arc<AtomicBool>,
    /// What is counted; the same for all instances of a task.
    pub(crate) meters: Arc<Meters>,
    /// Set by `host.request-reconfiguration`; whoever acts on it clears it.
    pub(crate) reconfigure: Arc<AtomicBool>,
    /// Sources only: where offsets are looked up.
    pub(crate) offsets: Option<Arc<dyn OffsetLookup>>,
    /// Where secrets are asked for, and what keeps them out of all that the instance says.
    pub(crate) vault: Vault,
}

impl Setup {
    /// For an instance that is thrown away after a question or two.
    pub(crate) fn throw_away(sandbox: &Sandbox) -> Self {
        Self {
            connector: "".into(),
            task: None,
            sandbox: Arc::new(sandbox.nothing()),
            should_stop: Arc::default(),
            meters: Arc::default(),
            reconfigure: Arc::default(),
            offsets: None,
            vault: Vault::default(),
        }
    }
}

/// The state behind one instance.
pub(crate) struct TaskState {
    wasi: Wasi,
    granted: Granted,
    refusals: Arc<Refusals>,
    net: Arc<Net>,
    resolved: Resolved,
    http: Http,
    http_ctx: WasiHttpCtx,
    dialled: Dialled,
    pub(crate) limits: Limits,
    pub(crate) log: Arc<GuestLog>,
    pub(crate) desk: SinkDesk,
    setup: Setup,
}

/// The WASI library's own state, apart from ours, so that both can be borrowed at once.
struct Wasi {
    ctx: WasiCtx,
    table: ResourceTable,
}

impl WasiView for Wasi {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.ctx, table: &mut self.table }
    }
}

impl WasiView for TaskState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        self.wasi.ctx()
    }
}

impl WasiHttpView for TaskState {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { hooks: &mut self.http, table: &mut self.wasi.table, ctx: &mut self.http_ctx }
    }
}

impl TaskState {
    /// The state for one instance of the plugin with this name.
    ///
    /// # Errors
    /// When a granted directory cannot be opened.
    pub(crate) fn new(engine: &Engine, plugin: &str, setup: Setup) -> Result<Self, GrantError> {
        let speaker =
            Speaker { plugin: plugin.into(), connector: Arc::clone(&setup.connector), task: setup.task };
        let meters = &setup.meters;
        let log = GuestLog::new(speaker, setup.sandbox.log_rate, Arc::clone(meters));
        let log = Arc::new(log.hiding(setup.vault.clone()));
        let granted = Granted::open(plugin, &setup.sandbox.fs, engine.nowhere())?;
        let refusals = Arc::new(Refusals::new(Arc::clone(&log), Arc::clone(meters)));
        let net = Arc::new(Net::new(setup.sandbox.clone(), Arc::clone(&refusals), Arc::clone(meters)));
        let resolved = Resolved::default();
        let mut ctx = WasiCtx::builder();
        let tcp = setup.sandbox.may_use(NetScheme::Tcp);
        let (asked, known) = (Arc::clone(&net), resolved.clone());
        ctx.allow_tcp(tcp)
            .allow_ip_name_lookup(tcp)
            .socket_addr_check(move |address, usage| known.check(&asked, address, usage))
            .allow_blocking_current_thread(true)
            .max_random_size(64 << 10)
            .envs(&setup.sandbox.env)
            .stdout(Stdio::out(Arc::clone(&log)))
            .stderr(Stdio::err(Arc::clone(&log)));
        let mut table = ResourceTable::new();
        table.set_max_capacity(HANDLES);
        Ok(Self {
            wasi: Wasi { ctx: ctx.build(), table },
            granted,
            refusals,
            http: Http::new(Arc::clone(&net)),
            http_ctx: WasiHttpCtx::new(),
            dialled: Dialled::new(Arc::clone(&net), Arc::clone(&setup.should_stop)),
            net,
            resolved,
            limits: Limits::new(setup.sandbox.memory_max, Arc::clone(meters)),
            log,
            desk: SinkDesk::default(),
            setup,
        })
    }

    /// What the task gave.
    pub(crate) fn setup(&self) -> &Setup {
        &self.setup
    }

    pub(crate) fn files(&mut self) -> FilesView<'_> {
        FilesView { wasi: self.wasi.filesystem(), granted: &self.granted, refusals: &self.refusals }
    }

    fn network(&mut self) -> NetView<'_> {
        NetView { wasi: self.wasi.sockets(), net: &self.net, resolved: &self.resolved }
    }
}

/// Defines everything a component may import: all of WASI 0.2, because some languages cannot start
/// without, and the contract's own interfaces. What is not granted is refused by policy, not by absence.
pub(crate) fn add_to_linker(l: &mut Linker<TaskState>) -> wasmtime::Result<()> {
    // Streams, polls, clocks, randomness, standard input and output.
    wasmtime_wasi::p2::add_to_linker_proxy_interfaces_async(l)?;
    random::insecure::add_to_linker::<_, WasiRandom>(l, |t| {
        wasmtime_wasi::random::WasiRandomView::random(&mut t.wasi)
    })?;
    random::insecure_seed::add_to_linker::<_, WasiRandom>(l, |t| {
        wasmtime_wasi::random::WasiRandomView::random(&mut t.wasi)
    })?;
    cli::exit::add_to_linker::<_, WasiCli>(l, |t| t.wasi.cli())?;
    cli::environment::add_to_linker::<_, WasiCli>(l, |t| t.wasi.cli())?;
    cli::terminal_input::add_to_linker::<_, WasiCli>(l, |t| t.wasi.cli())?;
    cli::terminal_output::add_to_linker::<_, WasiCli>(l, |t| t.wasi.cli())?;
    cli::terminal_stdin::add_to_linker::<_, WasiCli>(l, |t| t.wasi.cli())?;
    cli::terminal_stdout::add_to_linker::<_, WasiCli>(l, |t| t.wasi.cli())?;
    cli::terminal_stderr::add_to_linker::<_, WasiCli>(l, |t| t.wasi.cli())?;

    filesystem::preopens::add_to_linker::<_, Files>(l, TaskState::files)?;
    filesystem::types::add_to_linker::<_, Files>(l, TaskState::files)?;

    let no_options = sockets::network::LinkOptions::default();
    sockets::network::add_to_linker::<_, Sockets>(l, &no_options, TaskState::network)?;
    sockets::tcp_create_socket::add_to_linker::<_, Sockets>(l, TaskState::network)?;
    sockets::udp_create_socket::add_to_linker::<_, Sockets>(l, TaskState::network)?;
    sockets::ip_name_lookup::add_to_linker::<_, Sockets>(l, TaskState::network)?;
    sockets::instance_network::add_to_linker::<_, WasiSockets>(l, |t| t.wasi.sockets())?;
    sockets::tcp::add_to_linker::<_, Sockets>(l, TaskState::network)?;
    sockets::udp::add_to_linker::<_, WasiSockets>(l, |t| t.wasi.sockets())?;

    super::net::add_http_to_linker(l)?;
    http::types::add_to_linker::<_, WasiHttp>(l, &http::types::LinkOptions::default(), TaskState::http)?;

    host::add_to_linker::<_, HasSelf<_>>(l, |t| t)?;
    net::add_to_linker::<_, HasSelf<_>>(l, |t| t)?;
    source_context::add_to_linker::<_, HasSelf<_>>(l, |t| t)?;
    sink_context::add_to_linker::<_, HasSelf<_>>(l, |t| t)
}

impl types::Host for TaskState {}

impl host::Host for TaskState {
    fn log(&mut self, level: u32, message: String) {
        self.log.line(Level::from_guest(level), &message);
    }

    fn should_stop(&mut self) -> bool {
        self.setup.should_stop.load(Ordering::Relaxed)
    }

    async fn secret(&mut self, name: String) -> Result<String, String> {
        if self.setup.sandbox.may_ask_for_secret(&name) {
            secrets::ask(&self.setup.vault, name).await
        } else {
            Err(self.refusals.secret(&name))
        }
    }

    fn metric(&mut self, name: String, value: f64) {
        // A name with a secret in it is none once that is hidden.
        self.setup.meters.set_named(&self.setup.vault.hide(&name), value);
    }

    fn request_reconfiguration(&mut self) {
        self.setup.reconfigure.store(true, Ordering::Release);
    }
}

impl net::Host for TaskState {
    async fn connect(
        &mut self,
        host: String,
        port: u32,
        tls: bool,
        max_wait_ms: u32,
    ) -> Result<u32, types::Error> {
        self.dialled.connect(host, port, tls, max_wait_ms).await.map_err(Into::into)
    }

    async fn start_tls(&mut self, connection: u32, max_wait_ms: u32) -> Result<(), types::Error> {
        self.dialled.start_tls(connection, max_wait_ms).await.map_err(Into::into)
    }

    async fn send(&mut self, connection: u32, bytes: Vec<u8>, max_wait_ms: u32) -> Result<u32, types::Error> {
        self.dialled.send(connection, &bytes, max_wait_ms).await.map_err(Into::into)
    }

    async fn receive(
        &mut self,
        connection: u32,
        max_bytes: u32,
        max_wait_ms: u32,
    ) -> Result<Option<Vec<u8>>, types::Error> {
        self.dialled.receive(connection, max_bytes, max_wait_ms).await.map_err(Into::into)
    }

    async fn close(&mut self, connection: u32) {
        self.dialled.close(connection).await;
    }
}

impl From<DialError> for types::Error {
    fn from(error: DialError) -> Self {
        let code = error.code().number();
        Self { code, message: error.to_string(), retry_after_ms: 0, detail: String::new() }
    }
}

impl source_context::Host for TaskState {
    async fn offsets(&mut self, partitions: String) -> Result<String, String> {
        match &self.setup.offsets {
            Some(lookup) => lookup.offsets(&partitions).await,
            None => Err("only the task of a source can ask for offsets".to_owned()),
        }
    }
}

impl sink_context::Host for TaskState {
    fn seek(&mut self, offsets: String) -> Result<(), String> {
        self.desk.seek(&offsets)
    }

    fn pause(&mut self, partitions: String) {
        if let Err(wrong) = self.desk.pause(&partitions, true) {
            self.log.line(Level::Warn, &format!("pause: {wrong}"));
        }
    }

    fn resume(&mut self, partitions: String) {
        if let Err(wrong) = self.desk.pause(&partitions, false) {
            self.log.line(Level::Warn, &format!("resume: {wrong}"));
        }
    }

    fn request_commit(&mut self) {
        self.desk.request_commit();
    }

    fn timeout(&mut self, ms: u32) {
        self.desk.timeout(Duration::from_millis(ms.into()));
    }
}
