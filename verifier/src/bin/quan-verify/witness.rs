//! `quan-verify witness`: cosigns the checkpoints of the logs that a policy names, so that none of them can show two trees.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use verifier::signature::Signer;
use verifier::trail::cosignature::Cosigner;
use verifier::trail::key::KeyName;

use super::desk::{self, Desk};
use super::{Answer, NotChecked, folder, read_policy};

/// Bytes of an Ed25519 seed.
const SEED_BYTES: usize = 32;

/// What `quan-verify witness` is told.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The logs to witness (C2SP tlog-policy); its witnesses and quorum are not used.
    #[arg(long)]
    policy: PathBuf,
    /// Folder for the key and what was cosigned; made when missing. Back it up: a witness must not forget.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Where HTTP listens; port 0 takes a free one.
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8090")]
    listen: SocketAddr,
    /// The name of the witness's key; it belongs to the key, so keep it.
    #[arg(long, value_name = "NAME", default_value = "localhost/witness")]
    name: String,
}

/// Serves until SIGTERM or SIGINT; prints the key's line for policies first.
pub(crate) fn run(arguments: &Arguments) -> Result<Answer, NotChecked> {
    let policy = read_policy(&arguments.policy)?;
    let data = &arguments.data;
    let fault = |error: io::Error| NotChecked(format!("{}: {error}", data.display()));
    let name = KeyName::parse(&arguments.name).map_err(|flaw| NotChecked(flaw.to_string()))?;
    let made = DirBuilder::new().recursive(true).mode(0o700).create(data);
    made.map_err(fault)?;
    let seed = seed(&data.join("witness.key"))?;
    let cosigner = Cosigner::new(name, Signer::from_seed(&seed));
    let desk = Desk::open(data, policy, cosigner, Arc::new(now));
    let desk = Arc::new(desk.map_err(|fault| NotChecked(fault.to_string()))?);
    let key = desk.key().to_string();
    let served = actix_web::rt::System::new().block_on(async {
        let (server, address) = desk::serve(desk, arguments.listen)?;
        let mut out = io::stdout().lock();
        // A line as policies have it; the url may have to be the one by which others reach this host.
        writeln!(out, "witness {} {key} http://{address}", arguments.name)?;
        out.flush()?;
        drop(out);
        until_signalled(server).await
    });
    served.map_err(|error| NotChecked(format!("{}: {error}", arguments.listen)))?;
    Ok(Answer {
        agrees: true,
        page: String::new(),
    })
}

/// Runs the server; what is being stored when the signal comes is stored.
async fn until_signalled(mut server: actix_web::dev::Server) -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut term, mut int) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    tokio::select! {
        done = &mut server => return done,
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
    server.handle().stop(false).await;
    Ok(())
}

#[expect(
    clippy::disallowed_methods,
    reason = "a witness states when it saw a tree; the library has no clock"
)]
fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// Reads the key's seed, or makes one at the first start: nobody else may read it.
fn seed(path: &Path) -> Result<[u8; SEED_BYTES], NotChecked> {
    let fault = |error: io::Error| NotChecked(format!("{}: {error}", path.display()));
    match fs::metadata(path) {
        Ok(found) if found.permissions().mode() & 0o077 != 0 => {
            let why = "others may read this key; chmod 600 it, or make a new one under a new name";
            Err(NotChecked(format!("{}: {why}", path.display())))
        }
        Ok(_) => folder::read(path, SEED_BYTES)?
            .try_into()
            .map_err(|_| NotChecked(format!("{}: not 32 bytes", path.display()))),
        Err(error) if error.kind() == ErrorKind::NotFound => make_seed(path).map_err(fault),
        Err(error) => Err(fault(error)),
    }
}

/// Draws a seed and stores it durably: a temporary file, synced, renamed, then its folder synced.
fn make_seed(path: &Path) -> io::Result<[u8; SEED_BYTES]> {
    let mut seed = [0; SEED_BYTES];
    getrandom::fill(&mut seed).map_err(io::Error::other)?;
    let staged = path.with_extension("new");
    // A leftover of a killed start was never used: nothing was renamed from it.
    match fs::remove_file(&staged) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut options = OpenOptions::new();
    let mut file: File = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&staged)?;
    file.write_all(&seed)?;
    file.sync_all()?;
    fs::rename(&staged, path)?;
    if let Some(folder) = path.parent() {
        OpenOptions::new().read(true).open(folder)?.sync_all()?;
    }
    Ok(seed)
}
