//! A witness's desk: what it has cosigned lies in its folder, one note a log, and two HTTP routes lead to it (C2SP tlog-witness).
//!
//! What is answered was stored before: a witness that forgets could be shown two trees. One process a folder, one decision at a
//! time. `quan-verify witness` opens it, and so does `quan demo`, whose program includes this file.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use actix_web::dev::Server;
use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use verifier::trail::cosignature::Cosigner;
use verifier::trail::key::VerifierKey;
use verifier::trail::note::{NOTE_BYTES_MAX, Note};
use verifier::trail::policy::Policy;
use verifier::trail::witness::{self, AddCheckpoint, Refused, Seen};

const TEXT: &str = "text/plain; charset=utf-8";
/// Threads that answer: a witness is asked a few times a second, and its disk is the slowest part.
const THREADS: usize = 2;

/// Tells the time in Unix seconds.
pub(crate) type Now = Arc<dyn Fn() -> u64 + Send + Sync>;

/// Why a desk does not open, or an answer could not be stored.
#[derive(Debug)]
pub(crate) enum Fault {
    /// A file cannot be read or written.
    File(PathBuf, io::Error),
    /// A file is not what this witness has stored: nothing is cosigned until somebody has looked.
    Damaged(PathBuf, String),
    /// Another process has the folder.
    Taken(PathBuf),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path, fault) => write!(f, "{}: {fault}", path.display()),
            Self::Damaged(path, why) => write!(
                f,
                "{} is not what this witness has stored ({why}); restore it, or witness under a new name and key",
                path.display()
            ),
            Self::Taken(path) => write!(f, "{} is in use by another witness", path.display()),
        }
    }
}

impl std::error::Error for Fault {}

/// What was cosigned last of one log.
struct Kept {
    note: String,
    seen: Seen,
}

/// A witness: its policy, its key, and what it has cosigned.
pub(crate) struct Desk {
    policy: Policy,
    cosigner: Cosigner,
    folder: PathBuf,
    now: Now,
    /// By the hex SHA-256 of the origin, as in paths.
    kept: Mutex<BTreeMap<String, Kept>>,
    /// Held for as long as the desk is open.
    _lock: File,
}

impl Desk {
    /// Opens the folder of a witness, making it where it is missing, and reads what it has cosigned.
    pub(crate) fn open(
        folder: &Path,
        policy: Policy,
        cosigner: Cosigner,
        now: Now,
    ) -> Result<Self, Fault> {
        let folder = folder.join("cosigned");
        let fault = |error| Fault::File(folder.clone(), error);
        fs::create_dir_all(&folder).map_err(fault)?;
        let lock = folder.join(".lock");
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(lock)
            .map_err(fault)?;
        lock.try_lock().map_err(|_| Fault::Taken(folder.clone()))?;
        let kept = read_kept(&folder, cosigner.key())?;
        Ok(Self {
            policy,
            cosigner,
            folder,
            now,
            kept: Mutex::new(kept),
            _lock: lock,
        })
    }

    /// The key to check this witness with: its line belongs into policies.
    pub(crate) const fn key(&self) -> &VerifierKey {
        self.cosigner.key()
    }

    /// Decides a request and stores what it cosigns before it says so.
    pub(crate) fn add_checkpoint(&self, body: &[u8]) -> Result<Result<String, Refused>, Fault> {
        let request = match AddCheckpoint::parse(body) {
            Ok(request) => request,
            Err(flaw) => return Ok(Err(Refused::Malformed(flaw))),
        };
        let name = witness::origin_hex(request.checkpoint().origin());
        // INVARIANT: held over compare, decide and store; two requests never both start from one size.
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let last = kept.get(&name).map(|kept| kept.seen);
        let now = (self.now)();
        let cosigned = match witness::decide(&self.policy, &self.cosigner, last, &request, now) {
            Ok(cosigned) => cosigned,
            Err(refused) => return Ok(Err(refused)),
        };
        let note = cosigned.note.to_string();
        // DURABLE: a crash before leaves the older note, and nobody has the new line; after it the log asks again, and
        // gets 409 with this size.
        store(&self.folder, &name, &note)?;
        let seen = cosigned.seen;
        kept.insert(name, Kept { note, seen });
        Ok(Ok(cosigned.line.to_string()))
    }

    /// The newest cosigned checkpoint of the log whose origin has this hash.
    pub(crate) fn newest(&self, origin_hex: &str) -> Option<String> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(origin_hex).map(|kept| kept.note.clone())
    }
}

fn read_kept(folder: &Path, key: &VerifierKey) -> Result<BTreeMap<String, Kept>, Fault> {
    let listed: io::Result<Vec<_>> = fs::read_dir(folder).and_then(Iterator::collect);
    let mut kept = BTreeMap::new();
    for item in listed.map_err(|error| Fault::File(folder.to_owned(), error))? {
        let (path, name) = (item.path(), item.file_name().to_string_lossy().into_owned());
        // The lock, and what a killed write has left: nothing was answered from it.
        if name.starts_with('.') {
            continue;
        }
        let damaged = |why: String| Fault::Damaged(path.clone(), why);
        let bytes = read(&path).map_err(|error| damaged(error.to_string()))?;
        let note = Note::parse(&bytes).map_err(|flaw| damaged(flaw.to_string()))?;
        let seen = Seen::read(&note, key).map_err(|flaw| damaged(flaw.to_string()))?;
        let note = note.to_string();
        kept.insert(name, Kept { note, seen });
    }
    Ok(kept)
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let limit = u64::try_from(NOTE_BYTES_MAX).unwrap_or(u64::MAX);
    let file = OpenOptions::new().read(true).open(path)?;
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Replaces a note durably: a hidden file, synced, then renamed, then the folder synced.
fn store(folder: &Path, name: &str, note: &str) -> Result<(), Fault> {
    let staged = folder.join(format!(".{name}"));
    let write = || {
        let mut file = File::create(&staged)?;
        file.write_all(note.as_bytes())?;
        file.sync_all()?;
        fs::rename(&staged, folder.join(name))?;
        OpenOptions::new().read(true).open(folder)?.sync_all()
    };
    write().map_err(|error| Fault::File(folder.join(name), error))
}

/// Listens; the server runs once it is awaited.
pub(crate) fn serve(desk: Arc<Desk>, listen: SocketAddr) -> io::Result<(Server, SocketAddr)> {
    let desk = web::Data::from(desk);
    let app = move || {
        App::new()
            .app_data(desk.clone())
            .app_data(web::PayloadConfig::new(witness::REQUEST_BYTES_MAX))
            .route("/add-checkpoint", web::post().to(add_checkpoint))
            .route("/{origin}/checkpoint", web::get().to(newest))
    };
    let bound = HttpServer::new(app)
        .workers(THREADS)
        .disable_signals()
        .bind(listen)?;
    let address = bound.addrs().first().copied().unwrap_or(listen);
    Ok((bound.run(), address))
}

async fn add_checkpoint(desk: web::Data<Desk>, body: web::Bytes) -> HttpResponse {
    let decided = web::block(move || desk.add_checkpoint(&body)).await;
    match decided {
        Ok(Ok(Ok(line))) => text(StatusCode::OK, TEXT, line),
        Ok(Ok(Err(refused))) => {
            let status = StatusCode::from_u16(refused.status()).unwrap_or(StatusCode::BAD_REQUEST);
            let media_type = match refused {
                Refused::Conflict(_) => witness::SIZE_TYPE,
                Refused::Malformed(_)
                | Refused::UnknownLog(_)
                | Refused::Unsigned(_)
                | Refused::Inconsistent(_) => TEXT,
            };
            text(status, media_type, refused.to_string())
        }
        // Nothing was stored, so nothing is cosigned. What failed is the operator's matter, not the log's.
        Ok(Err(_)) | Err(_) => {
            let sentence = "this witness cannot store what it cosigns; nothing was cosigned\n";
            text(StatusCode::INTERNAL_SERVER_ERROR, TEXT, sentence.to_owned())
        }
    }
}

async fn newest(desk: web::Data<Desk>, request: HttpRequest) -> HttpResponse {
    let origin = request.match_info().get("origin").unwrap_or_default();
    match desk.newest(origin) {
        Some(note) => text(StatusCode::OK, TEXT, note),
        None => {
            let sentence = "nothing was cosigned of such a log\n".to_owned();
            text(StatusCode::NOT_FOUND, TEXT, sentence)
        }
    }
}

fn text(status: StatusCode, media_type: &'static str, body: String) -> HttpResponse {
    HttpResponse::build(status)
        .insert_header((CONTENT_TYPE, media_type))
        .insert_header((CACHE_CONTROL, "no-store"))
        .body(body)
}
