//! `quan serve`: wire the parts, run, stop in order (DESIGN §7). Who calls: `main`, the demo, the tests.
//!
//! A start after a crash is this same code: the publisher compares before anything is written, the sequencer replays the log,
//! the publisher puts again what is not published. A stop answers what is under way, decides what waits, states the scopes' counts, publishes, projects, and ends.

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpServer, web};
use std::fmt;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use verifier::book::command::{OpenExchange, Role};
use verifier::signature::{KeyFault, PublicKey};
use verifier::time::UtcOffset;
use verifier::trail::Flaw;
use verifier::trail::key::{KeyName, VerifierKey};

use crate::cause::{Whole, faults_from};
use crate::clock::Clock;
use crate::config::Config;
use crate::dataset::{self, Blobs, Spools, upkeep};
use crate::faults::Faults;
use crate::http::{self, Caller, Followed, Replies, Shared};
use crate::keys::{self, Keys, SigningKey, Token};
use crate::objects::{self, Objects};
use crate::projector::Projector;
use crate::publisher::{self, Parts, Publisher};
use crate::refusals::{Allowance, Refusals};
use crate::sequencer::{self, Desk, Pace, Sequencer, Snapshots};
use crate::store::{Store, StoreFault, own};
use crate::timers;

/// How long requests under way may take after a stop was asked for.
const GRACE: Duration = Duration::from_secs(10);
/// How long the last answers may take to leave. An idle connection is not waited for, as actix would.
const LEAVE: Duration = Duration::from_millis(100);
/// How long the last holder of the database is waited for after the end.
const FREE: Duration = Duration::from_secs(10);
/// How long a client may take to send its head; bodies are bounded by their length.
const HEAD_WAIT: Duration = Duration::from_secs(10);
/// The label of the first key.
const OPERATOR: &str = "operator";

/// Why the server did not start, or stopped by itself.
#[derive(Debug)]
pub enum Fault {
    /// The data folder cannot be made or written.
    Folder(PathBuf, io::Error),
    /// The exchange's keys.
    Keys(keys::Fault),
    /// A key of our own does not hold.
    OwnKey(KeyFault),
    /// The origin, or the log's key under it.
    Origin(Flaw),
    /// The database.
    Store(StoreFault),
    /// The trail's folder, or that of datasets.
    Objects(objects::Fault),
    /// Where uploads come in.
    Dataset(dataset::Fault),
    /// The publisher.
    Publisher(publisher::Fault),
    /// The sequencer.
    Sequencer(sequencer::Fault),
    /// The listen address is taken or not ours.
    Listen(SocketAddr, io::Error),
    /// A thread could not be made, or ended without a word.
    Thread(&'static str),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path, _) => write!(f, "cannot write the data folder {}", path.display()),
            Self::Keys(fault) => fault.fmt(f),
            Self::OwnKey(fault) => write!(f, "a key of this exchange is not usable: {fault}"),
            Self::Origin(flaw) => write!(f, "the setting `origin`: {flaw}"),
            Self::Store(fault) => fault.fmt(f),
            Self::Objects(fault) => fault.fmt(f),
            Self::Dataset(fault) => fault.fmt(f),
            Self::Publisher(fault) => fault.fmt(f),
            Self::Sequencer(fault) => fault.fmt(f),
            Self::Listen(address, _) => write!(f, "cannot listen on {address}"),
            Self::Thread(name) => write!(f, "the {name} ended without a word"),
        }
    }
}

impl std::error::Error for Fault {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Folder(_, fault) | Self::Listen(_, fault) => Some(fault),
            Self::Keys(fault) => fault.source(),
            Self::Store(fault) => fault.source(),
            Self::Objects(fault) => fault.source(),
            Self::Dataset(fault) => fault.source(),
            Self::Publisher(fault) => fault.source(),
            Self::Sequencer(fault) => fault.source(),
            Self::OwnKey(_) | Self::Origin(_) | Self::Thread(_) => None,
        }
    }
}

faults_from! {
    keys::Fault => Keys, KeyFault => OwnKey, Flaw => Origin, StoreFault => Store,
    objects::Fault => Objects, dataset::Fault => Dataset, publisher::Fault => Publisher, sequencer::Fault => Sequencer,
}

/// A server that runs.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    thread: JoinHandle<Result<(), Fault>>,
}

impl Running {
    /// Where it listens: the real port where the setting was 0.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops in order and waits for the end.
    /// # Errors
    /// [`Fault`], also one that ended it before.
    pub fn stop(self) -> Result<(), Fault> {
        self.stop.send_replace(true);
        self.wait()
    }

    /// Waits for the end: a signal, or a fault that forbids to go on.
    /// # Errors
    /// [`Fault`]
    pub fn wait(self) -> Result<(), Fault> {
        self.thread.join().map_err(|_| Fault::Thread("server"))?
    }

    /// Stops in order on SIGTERM or SIGINT.
    /// # Errors
    /// [`Fault::Thread`] if the operating system does not let us listen.
    pub fn stop_on_signals(&self) -> Result<(), Fault> {
        let stop = self.stop.clone();
        let builder = std::thread::Builder::new().name("signals".to_owned());
        let listen = move || {
            let signalled = actix_web::rt::System::new().block_on(signalled());
            signalled.is_ok_and(|()| stop.send_replace(true))
        };
        builder
            .spawn(listen)
            .map(drop)
            .map_err(|_| Fault::Thread("signals"))
    }
}

async fn signalled() -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut term, mut int) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    tokio::select! {
        _ = term.recv() => tracing::info!("SIGTERM: stopping"),
        _ = int.recv() => tracing::info!("SIGINT: stopping"),
    }
    Ok(())
}

/// Starts a server: on the first start it makes the keys, opens the exchange (entry 0) and writes `operator.key`.
/// # Errors
/// [`Fault`]; nothing runs then.
pub fn start(config: Config, clock: Clock, faults: Faults) -> Result<Running, Fault> {
    let prepared = prepare(&config, &clock, &faults)?;
    let address = config.listen;
    let (tell, told) = mpsc::channel();
    let (stop, stopped) = watch::channel(false);
    let refusals = prepared.replies.refusals.clone();
    let (spool, keys) = (config.data.join("uploads"), prepared.keys);
    let data = dataset::Parts {
        spools: Spools::open(&spool)?,
        blobs: Blobs::open(&config.blobs, &keys, config.seal_blobs, clock.clone())?,
        completed: watch::Sender::default(),
        store: Arc::clone(&prepared.store),
        desk: prepared.desk.clone(),
        keys,
        clock: clock.clone(),
    };
    let followed = Followed {
        replies: prepared.replies,
        trail: prepared.objects,
        published: prepared.publisher.published(),
        witnesses: prepared.publisher.standings(),
        projected: prepared.projector.projected(),
        data,
    };
    let (store, desk) = (prepared.store, prepared.desk);
    let held = store.held();
    let shared = Arc::new(Shared::new(config, clock, store, desk, followed));
    let crew = Crew {
        shared,
        refusals,
        publisher: prepared.publisher,
        projector: prepared.projector,
        sequencer: prepared.sequencer,
    };
    let thread = std::thread::Builder::new()
        .name("server".to_owned())
        .spawn(move || {
            let ended = actix_web::rt::System::new().block_on(run(crew, stopped, tell));
            wait_until_free(&held);
            ended
        })
        .map_err(|_| Fault::Thread("server"))?;
    match told.recv() {
        Ok(Ok(address)) => Ok(Running {
            address,
            stop,
            thread,
        }),
        Ok(Err(fault)) => {
            let _ended = thread.join();
            Err(Fault::Listen(address, fault))
        }
        Err(_) => Err(thread
            .join()
            .ok()
            .and_then(Result::err)
            .unwrap_or(Fault::Thread("server"))),
    }
}

/// HTTP's threads and the publisher's end by themselves a moment after the server; whoever starts it anew next finds the database free.
fn wait_until_free(held: &Weak<()>) {
    let begun = Instant::now();
    while held.strong_count() > 0 && begun.elapsed() < FREE {
        std::thread::sleep(Duration::from_millis(1));
    }
}

struct Prepared {
    store: Arc<Store>,
    desk: Desk,
    sequencer: JoinHandle<Result<(), sequencer::Fault>>,
    publisher: Publisher,
    projector: Projector,
    objects: Objects,
    replies: Replies,
    keys: Arc<Keys>,
}

fn prepare(config: &Config, clock: &Clock, faults: &Faults) -> Result<Prepared, Fault> {
    make_folder(&config.data)?;
    let origin = KeyName::parse(&config.origin)?;
    let keys = Arc::new(Keys::open(&config.data)?);
    let store = Arc::new(Store::open(config.database.clone())?);
    let objects = Objects::open(&config.objects)?;
    let parts = Parts {
        store: Arc::clone(&store),
        objects: objects.clone(),
        keys: Arc::clone(&keys),
        origin,
        faults: faults.clone(),
    };
    // Before the first write: is this database as new as what the world has seen (TRAIL D4)?
    let publisher = Publisher::open(parts)?;
    let policy = publisher.write_policy(&config.data.join("policy.txt"))?;
    let publisher = publisher.witnessed_by(policy, config.rewitness_every)?;
    let folder = config.data.join("snapshots");
    let snapshots = Snapshots::folder(&folder, config.snapshot_entries)
        .map_err(|fault| Fault::Folder(folder, fault))?;
    let mut sequencer =
        Sequencer::resume(Arc::clone(&store), clock.clone(), faults.clone(), snapshots)?;
    sequencer.open(entry_0(config, &keys, publisher.key())?)?;
    let projector = Projector::open(Arc::clone(&store))?;
    let pace = Pace::new(projector.projected(), config.behind_max);
    let (desk, thread) = sequencer
        .spawn(config.queue_max, pace)
        .map_err(|_| Fault::Thread("sequencer"))?;
    operator_key(config, &store, &desk, clock)?;
    let refusals = Refusals::start(Arc::clone(&store)).map_err(|_| Fault::Thread("refusals"))?;
    let replies = Replies::new(
        Arc::clone(&keys),
        refusals,
        Allowance::new(config.refusals_per_hour),
    );
    Ok(Prepared {
        store,
        desk,
        sequencer: thread,
        publisher,
        projector,
        objects,
        replies,
        keys,
    })
}

fn make_folder(path: &Path) -> Result<(), Fault> {
    // The keys are in here: nobody else has to look.
    let made = fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path);
    made.map_err(|fault| Fault::Folder(path.to_owned(), fault))
}

fn entry_0(config: &Config, keys: &Keys, log: &VerifierKey) -> Result<OpenExchange, Fault> {
    let x = |key: &SigningKey| PublicKey::register(key.public()).map(|key| key.x());
    Ok(OpenExchange {
        origin: config.origin.clone(),
        log_vkey: log.to_string(),
        delivery_key: x(&keys.delivery)?,
        reply_key: keys.reply.public().x(),
        // The exchange's own days are China's; a programme's are its own.
        utc_offset_min: UtcOffset::CHINA,
    })
}

/// Makes the first API key where there is none of the exchange's own actor, and says only where it lies.
fn operator_key(config: &Config, store: &Store, desk: &Desk, clock: &Clock) -> Result<(), Fault> {
    let exchange = objects::wait(desk.read(|book| book.exchange.clone()))
        .ok()
        .flatten();
    let exchange = exchange.ok_or(Fault::Sequencer(sequencer::Fault::Unloaded))?;
    let mut db = store.connection()?;
    let actor = exchange.actor.to_string();
    if own::keys(&mut db)?.iter().any(|key| key.actor == actor) {
        return Ok(());
    }
    let owner = Caller {
        actor: exchange.actor,
        party: exchange.party,
        role: Role::Exchange,
    };
    let token = Token::draw(owner.role.as_str())?;
    let path = config.data.join("operator.key");
    // A crash after the file leaves one whose key is not known: the next start replaces it. The other order would leave a
    // key that nobody holds.
    keys::write_secret(&path, format!("{}\n", token.expose()).as_bytes())
        .map_err(|fault| Fault::Folder(path.clone(), fault))?;
    let now = clock.now().map_err(sequencer::Fault::from)?;
    own::add_key(&mut db, &http::key_row(&token, owner, OPERATOR, now))?;
    tracing::info!(path = %path.display(), "made the first API key, of role exchange");
    Ok(())
}

/// What works together while a server runs.
struct Crew {
    shared: Arc<Shared>,
    refusals: Refusals,
    publisher: Publisher,
    projector: Projector,
    sequencer: JoinHandle<Result<(), sequencer::Fault>>,
}

type Tell = mpsc::Sender<io::Result<SocketAddr>>;

/// Serves until it is told to stop or until somebody of the crew may not go on; then stops in order.
async fn run(crew: Crew, mut stopped: watch::Receiver<bool>, tell: Tell) -> Result<(), Fault> {
    let Crew {
        shared,
        refusals,
        publisher,
        projector,
        sequencer,
    } = crew;
    let (desk, every) = (shared.desk.clone(), shared.config.publish_every);
    let (seal_every, store) = (shared.config.seal_every, Arc::clone(&shared.store));
    let mut under_way = shared.under_way.subscribe();
    let timers = timers_of(&shared, refusals, stopped.clone());
    let upkeep = upkeep_of(&shared, stopped.clone());
    let (stop_following, stopped_following) = watch::channel(false);
    let (server, handle) = match listen(shared) {
        Ok((server, handle, address)) => {
            let _heard = tell.send(Ok(address));
            (server, handle)
        }
        Err(fault) => {
            desk.close();
            let _unheard = tell.send(Err(fault));
            return ended(sequencer);
        }
    };
    let mut server = actix_web::rt::spawn(server);
    let timers = actix_web::rt::spawn(timers);
    let mut upkeep = actix_web::rt::spawn(upkeep);
    let mut publisher = actix_web::rt::spawn(publisher.run(every, stopped_following.clone()));
    let mut projector = actix_web::rt::spawn(projector.run(desk.committed(), stopped_following));
    let mut sequencer = actix_web::rt::task::spawn_blocking(move || ended(sequencer));
    // Whoever ends first by itself has a reason for which the others may not go on.
    let early = tokio::select! {
        _ = stopped.wait_for(|stop| *stop) => None,
        _ = &mut server => Some(Fault::Thread("HTTP server")),
        done = &mut publisher => Some(failed(done.map(|done| done.map_err(Fault::from)), "publisher")),
        done = &mut projector => Some(failed(done.map(|done| done.map_err(Fault::from)), "projector")),
        done = &mut sequencer => Some(failed(done, "sequencer")),
    };
    if let Some(fault) = early {
        tracing::error!(fault = %Whole(&fault), "stopping");
        desk.close();
        stop_following.send_replace(true);
        handle.stop(false).await;
        return Err(fault);
    }
    // Stop accepting and answer what is under way, decide what waits, publish it, end.
    drain(&handle, &mut under_way).await;
    timers.abort();
    // A round that is under way holds the database: it ends by itself, or is left where it stands.
    if tokio::time::timeout(GRACE, &mut upkeep).await.is_err() {
        upkeep.abort();
    }
    timers::seal_at_stop(&desk, (seal_every, GRACE)).await;
    desk.close();
    sequencer.await.map_err(|_| Fault::Thread("sequencer"))??;
    stop_following.send_replace(true);
    publisher.await.map_err(|_| Fault::Thread("publisher"))??;
    projector.await.map_err(|_| Fault::Thread("projector"))??;
    fold(store).await;
    tracing::info!("stopped in order");
    Ok(())
}

/// After an orderly stop SQLite's file is whole without its write-ahead log: whoever copies it alone has a backup.
async fn fold(store: Arc<Store>) {
    let folded = actix_web::rt::task::spawn_blocking(move || store.connection()?.checkpoint());
    if let Ok(Err(fault)) = folded.await {
        tracing::warn!(fault = %Whole(&fault), "the write-ahead log stays beside the database; copy both");
    }
}

fn timers_of(
    shared: &Shared,
    refusals: Refusals,
    stopped: watch::Receiver<bool>,
) -> impl Future<Output = ()> + use<> {
    let config = &shared.config;
    let every = (config.timers_every, config.seal_every);
    let (desk, clock) = (shared.desk.clone(), shared.clock.clone());
    timers::run(desk, refusals, clock, every, stopped)
}

fn upkeep_of(shared: &Shared, stopped: watch::Receiver<bool>) -> impl Future<Output = ()> + use<> {
    let config = &shared.config;
    let every = (config.timers_every, config.rehash_every);
    upkeep::run(shared.data.clone(), every, stopped)
}

/// Takes no more connections, waits for the requests under way, and lets their answers leave.
async fn drain(handle: &ServerHandle, under_way: &mut watch::Receiver<usize>) {
    handle.pause().await;
    let _late = tokio::time::timeout(GRACE, under_way.wait_for(|count| *count == 0)).await;
    tokio::time::sleep(LEAVE).await;
    handle.stop(false).await;
}

fn ended(thread: JoinHandle<Result<(), sequencer::Fault>>) -> Result<(), Fault> {
    thread
        .join()
        .map_err(|_| Fault::Thread("sequencer"))?
        .map_err(Fault::from)
}

fn failed<E>(done: Result<Result<(), Fault>, E>, name: &'static str) -> Fault {
    done.ok()
        .and_then(Result::err)
        .unwrap_or(Fault::Thread(name))
}

fn listen(shared: Arc<Shared>) -> io::Result<(actix_web::dev::Server, ServerHandle, SocketAddr)> {
    let (address, threads) = (shared.config.listen, shared.config.threads);
    let shared = web::Data::from(shared);
    let app = move || {
        App::new()
            .app_data(shared.clone())
            .configure(http::configure)
    };
    let bound = HttpServer::new(app)
        .workers(threads)
        .client_request_timeout(HEAD_WAIT)
        .disable_signals()
        .bind(address)?;
    let address = bound.addrs().first().copied().unwrap_or(address);
    tracing::info!(%address, "serving");
    let server = bound.run();
    let handle = server.handle();
    Ok((server, handle, address))
}
