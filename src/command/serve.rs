//! `quorate serve`: the HTTP gateway, until it is told to stop.

use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Args;
use quorate_core::ids::Millis;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::client::{self, Client};
use crate::config::{self, Config, Secret};
use crate::console;
use crate::gateway::Memory;
use crate::gateway::access::{Access, Issuer, Rate, Registration, Terms};
use crate::gateway::desk::Desk;
use crate::gateway::http::{self, Gateway, Page, Sessions};
use crate::gateway::observe;
use crate::gateway::webhooks::{self, Webhook};

/// How often to look whether the log is read.
const LOOK: Duration = Duration::from_millis(10);
/// How long answers under way may take once it was told to stop; whoever waits is cut off then.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// Secret by which an issuer believes us.
const CLIENT_SECRET: &str = "QUORATE_OIDC_CLIENT_SECRET";

/// Where to serve.
#[derive(Debug, Args)]
pub(super) struct Serve {
    /// Where to listen; port 0: any that is free
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<String>,
}

impl Serve {
    pub(super) fn call(self, config: &Config) -> anyhow::Result<()> {
        // While it starts, and the second time, a signal ends the process as if nobody listened.
        let abrupt = Arc::new(AtomicBool::new(true));
        for signal in [SIGINT, SIGTERM] {
            signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(&abrupt))
                .context("cannot listen for signals")?;
        }
        let listen = self.listen.unwrap_or_else(|| config.gateway.listen.clone());
        let runtime = client::runtime()?;
        let listener = runtime.block_on(TcpListener::bind(&listen));
        let listener = listener.with_context(|| format!("cannot listen at `{listen}`"))?;
        let address = listener.local_addr().context("cannot tell the address")?;
        let access = access(&config.gateway, address)?;
        let claims = Millis(i64::from(config.gateway.claim_minutes.get()) * 60_000);
        let handle = Client::open(config)?.into_handle();
        let desk = Desk::remembering(handle, memory(&config.gateway)?)?.with_claims_for(claims);
        let room = usize::try_from(config.gateway.connections.get())?;
        let gateway = Gateway::new(access, desk).with_room_for(room);
        let gateway = gateway.operating(config.gateway.operates);
        let mut gateway = gateway
            .with_pages(pages(), sessions(&config.gateway)?)
            .with_settings(settings(&config.console)?);
        let header = &*config.gateway.address_header;
        if !header.is_empty() {
            let option = "gateway.address_header";
            gateway = gateway.behind(header).context(option)?;
        }
        let webhooks = webhooks(&config.gateway)?;
        let serving = Serving::start(runtime, listener, gateway)?.telling(webhooks)?;
        serving.observed_at(&config.gateway.observe)?;
        let mut signals = Signals::new([SIGINT, SIGTERM]).context("cannot listen for signals")?;
        abrupt.store(false, Ordering::Relaxed);
        tracing::info!(%address, "serving the protocol over HTTP");
        super::answer(&format!("http://{address}"))?;
        let _signal = signals.forever().next();
        abrupt.store(true, Ordering::Relaxed);
        serving.stop()
    }
}

/// What people are shown.
pub(super) fn pages() -> Vec<Page> {
    let files = console::FILES.iter();
    files
        .map(|file| (file.name, file.kind, file.content))
        .collect()
}

/// What those pages are told.
pub(super) fn settings(console: &config::Console) -> anyhow::Result<String> {
    serde_json::to_string(console).context("cannot tell what pages are told")
}

/// How much is remembered.
pub(super) fn memory(config: &config::Gateway) -> anyhow::Result<Memory> {
    const MEBIBYTE: usize = 1024 * 1024;
    let bytes = |mebibytes: NonZeroU32| -> anyhow::Result<usize> {
        Ok(usize::try_from(mebibytes.get())?.saturating_mul(MEBIBYTE))
    };
    Ok(Memory {
        span: Millis(i64::from(config.memory_hours.get()) * 3_600_000),
        rounds: bytes(config.memory_rounds_mib)?,
        letters: bytes(config.memory_refused_mib)?,
        recent: bytes(config.memory_stream_mib)?,
        history: bytes(config.memory_history_mib)?,
    })
}

/// How people are kept signed in.
fn sessions(config: &config::Gateway) -> anyhow::Result<Sessions> {
    let mut sessions = Sessions::default();
    let file = &*config.session_key_file;
    if !file.is_empty() {
        let key = std::fs::read(file).with_context(|| format!("cannot read key `{file}`"))?;
        let option = "gateway.session_key_file";
        sessions = sessions.by_key(&key).context(option)?;
    }
    if !config.public_url.is_empty() {
        let option = "gateway.public_url";
        sessions = sessions.found_at(&config.public_url).context(option)?;
    }
    let minutes = i64::from(config.session_minutes.get());
    Ok(sessions.lasting(Millis(minutes * 60_000)))
}

/// A gateway that serves, and the thread that reads the log for it.
pub(super) struct Serving {
    runtime: Runtime,
    served: JoinHandle<io::Result<()>>,
    stop: oneshot::Sender<()>,
    following: thread::JoinHandle<()>,
    telling: Vec<thread::JoinHandle<()>>,
    ended: Arc<AtomicBool>,
    gateway: Arc<Gateway>,
}

impl Serving {
    /// Serves from now on.
    pub(super) fn start(
        runtime: Runtime,
        listener: TcpListener,
        gateway: Gateway,
    ) -> anyhow::Result<Self> {
        let gateway = Arc::new(gateway);
        let ended = Arc::new(AtomicBool::new(false));
        let following = {
            let (gateway, ended) = (Arc::clone(&gateway), Arc::clone(&ended));
            let named = thread::Builder::new().name("follow".to_owned());
            let follow = move || gateway.desk.follow(&ended);
            named.spawn(follow).context("cannot start a thread")?
        };
        let (stop, stopped) = oneshot::channel::<()>();
        let stopped = async {
            // Whether told so or because nobody is left to tell: it ends.
            let _told = stopped.await;
        };
        let served = runtime.spawn(http::serve(listener, Arc::clone(&gateway), stopped));
        Ok(Self {
            gateway,
            runtime,
            served,
            stop,
            following,
            telling: Vec::new(),
            ended,
        })
    }

    /// The same, and tells these of escalations.
    fn telling(mut self, webhooks: Vec<Webhook>) -> anyhow::Result<Self> {
        for webhook in webhooks {
            let (gateway, ended) = (Arc::clone(&self.gateway), Arc::clone(&self.ended));
            let runtime = self.runtime.handle().clone();
            let named = thread::Builder::new().name("webhook".to_owned());
            let counted = gateway.counting(webhook.name());
            let tell = move || webhook.run(&gateway.desk, &counted, &runtime, &ended);
            let thread = named.spawn(tell).context("cannot start a thread")?;
            self.telling.push(thread);
        }
        Ok(self)
    }

    /// Tells at an address, if one is given, whether it is ready, and what was asked of it.
    fn observed_at(&self, address: &str) -> anyhow::Result<()> {
        if address.is_empty() {
            return Ok(());
        }
        let listener = self.runtime.block_on(TcpListener::bind(address));
        let listener = listener.with_context(|| format!("cannot listen at `{address}`"))?;
        let address = listener.local_addr().context("cannot tell the address")?;
        tracing::info!(%address, "serving metrics and health");
        let serving = observe::serve_edge(listener, Arc::clone(&self.gateway));
        self.runtime.spawn(serving);
        Ok(())
    }

    /// Waits until what lies on the log is read, but not for longer than that.
    pub(super) fn wait_until_read(&self, patience: Duration) {
        let until = Instant::now() + patience;
        while !self.gateway.desk.is_following() && Instant::now() < until {
            thread::sleep(LOOK);
        }
    }

    /// Ends it; whoever still waits for an answer is cut off after a moment.
    pub(super) fn stop(self) -> anyhow::Result<()> {
        let Self {
            runtime,
            served,
            stop,
            following,
            telling,
            ended,
            gateway: _,
        } = self;
        drop(stop);
        let served = runtime.block_on(async { timeout(LAST_ANSWERS, served).await });
        ended.store(true, Ordering::Relaxed);
        let told = telling.into_iter().map(thread::JoinHandle::join);
        let told: Result<Vec<()>, _> = told.collect();
        let followed = following.join().and(told);
        runtime.shutdown_timeout(LAST_ANSWERS);
        followed.map_err(|_| io::Error::other("a thread has ended"))?;
        served.map_or(Ok(()), |ended| Ok(ended??))
    }
}

/// Who is let in: nobody, without a file of tokens or an issuer of them.
fn access(gateway: &config::Gateway, address: SocketAddr) -> anyhow::Result<Access> {
    let file = &*gateway.tokens_file;
    let access = if file.is_empty() {
        Access::default()
    } else {
        let text = std::fs::read_to_string(Path::new(file));
        let text = text.with_context(|| format!("cannot read tokens `{file}`"))?;
        Access::from_toml(&text).with_context(|| format!("cannot use tokens `{file}`"))?
    };
    let subjects = rate(gateway.rate, gateway.burst);
    let failures = rate(gateway.failure_rate, gateway.failure_burst);
    let access = access.with_limits(subjects, failures);
    if !gateway.oidc.issuer.is_empty() {
        return Ok(access.with_issuer(issuer(gateway, address)?));
    }
    for (option, value) in [
        ("audience", &gateway.oidc.audience),
        ("client_id", &gateway.oidc.client_id),
    ] {
        anyhow::ensure!(
            value.is_empty(),
            "option `gateway.oidc.{option}` has no effect without `gateway.oidc.issuer`"
        );
    }
    if file.is_empty() {
        let options = "gateway.tokens_file, gateway.oidc.issuer";
        tracing::warn!(options, "not set: nobody is let in");
    }
    Ok(access)
}

/// Who is told of escalations.
fn webhooks(gateway: &config::Gateway) -> anyhow::Result<Vec<Webhook>> {
    let webhooks = gateway.webhooks.iter();
    let of = |webhook: &config::Webhook| {
        let (name, file) = (&webhook.name, &webhook.secret_file);
        let secret = std::fs::read_to_string(file);
        let secret = secret.with_context(|| format!("cannot read secret `{file}`"))?;
        let terms = webhooks::Terms {
            name: name.clone(),
            url: webhook.url.clone(),
            secret,
            domains: webhook.domains.clone(),
            stakes: webhook.stakes.into(),
            allow_private: webhook.allow_private,
            summary: webhook.summary,
            certificates: certificates(&webhook.ca_location)?,
            console: gateway.public_url.clone(),
        };
        Webhook::new(terms).with_context(|| format!("cannot use webhook `{name}`"))
    };
    webhooks.map(of).collect()
}

/// What is in a file of certificates, if there is one.
fn certificates(file: &str) -> anyhow::Result<Vec<u8>> {
    if file.is_empty() {
        return Ok(Vec::new());
    }
    std::fs::read(file).with_context(|| format!("cannot read certificates `{file}`"))
}

fn rate(per_second: NonZeroU32, burst: NonZeroU32) -> Rate {
    Rate { per_second, burst }
}

/// What we are to an issuer at whose page people sign in, if they do.
fn registration(
    gateway: &config::Gateway,
    address: SocketAddr,
) -> anyhow::Result<Option<Registration>> {
    let oidc = &gateway.oidc;
    let file = &oidc.client_secret_file;
    if oidc.client_id.is_empty() {
        anyhow::ensure!(
            file.is_empty(),
            "option `gateway.oidc.client_secret_file` has no effect without \
             `gateway.oidc.client_id`"
        );
        return Ok(None);
    }
    anyhow::ensure!(
        !gateway.public_url.is_empty() || address.ip().is_loopback(),
        "people cannot be sent back to `{address}`: set `gateway.public_url`"
    );
    let here = match &*gateway.public_url {
        "" => format!("http://{address}"),
        url => url.trim_end_matches('/').to_owned(),
    };
    let secret = Secret::find(std::env::var(CLIENT_SECRET).ok(), file)?;
    Ok(Some(Registration {
        client_id: oidc.client_id.clone(),
        client_secret: secret.map(Secret::reveal),
        scopes: oidc.scopes.split_whitespace().map(str::to_owned).collect(),
        back: format!("{here}/console/session/callback"),
        after: format!("{here}/console/"),
    }))
}

fn issuer(gateway: &config::Gateway, address: SocketAddr) -> anyhow::Result<Issuer> {
    let oidc = &gateway.oidc;
    let terms = Terms {
        issuer: oidc.issuer.clone(),
        audience: oidc.audience.clone(),
        jwks_url: oidc.jwks_url.clone(),
        certificates: certificates(&oidc.ca_location)?,
        subject_claim: oidc.subject_claim.clone(),
        roles_claim: oidc.roles_claim.clone(),
        leeway: Duration::from_secs(oidc.leeway_s),
        refresh: Duration::from_secs(oidc.refresh_s),
        stale: Duration::from_secs(oidc.stale_s),
        registration: registration(gateway, address)?,
    };
    Issuer::new(terms).context("cannot use `[gateway.oidc]`")
}
