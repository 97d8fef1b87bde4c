//! The neighbour's office, which witnesses this exchange as `quan-verify witness` would: the same desk, on a thread of its own.

// The desk is the command's: a program of another crate, and no library may wait (ARCHITECTURE, floors).
#[path = "../../../verifier/src/bin/quan-verify/desk.rs"]
mod desk;

use std::fs::{self, DirBuilder};
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;

use verifier::signature::Signer;
use verifier::trail::cosignature::Cosigner;
use verifier::trail::key::KeyName;
use verifier::trail::policy::Policy;

use super::Fault;
use crate::clock::Clock;
use crate::keys::{self, Keys};

/// What the neighbour is called in the policy, and the name of its key.
const NAME: &str = "neighbour.example/witness";
/// The folder of the neighbour, beside what lies with the other parties.
const FOLDER: &str = "neighbour";

/// Starts the neighbour and writes the exchange's policy, which demands its cosignature, before the exchange starts.
pub(super) fn start(data: &Path, origin: &str, clock: &Clock) -> Result<(), Fault> {
    let told = |fault: &dyn std::fmt::Display| Fault::Story(format!("the witness: {fault}"));
    let name = |name: &str| KeyName::parse(name).map_err(|flaw| told(&flaw));
    let folder = data.join(FOLDER);
    // As `quan serve` makes it: keys are in here.
    let made = DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&folder);
    made.map_err(|why| Fault::File(folder.clone(), why))?;
    let own = Keys::open(data).map_err(|fault| told(&fault))?;
    let log = own.log.verifier_key(&name(origin)?);
    let log = log.map_err(|flaw| told(&flaw))?;
    let key = folder.join("witness.key");
    keys::make(&key).map_err(|fault| told(&fault))?;
    let seed = keys::seed(&key).map_err(|fault| told(&fault))?;
    let cosigner = Cosigner::new(name(NAME)?, Signer::from_seed(&seed));
    // It knows the exchange, and demands nothing of others.
    let known = format!("log {log}\nquorum none\n");
    let known = Policy::parse(known.as_bytes()).map_err(|flaw| told(&flaw))?;
    let clock = clock.clone();
    // The story's time, so that what it states fits the entries.
    let now = move || {
        clock
            .now()
            .map_or(0, |now| u64::try_from(now.unix()).unwrap_or(0))
    };
    let desk = desk::Desk::open(&folder, known, cosigner, Arc::new(now));
    let desk = Arc::new(desk.map_err(|fault| told(&fault))?);
    let vkey = desk.key().to_string();
    let address = serve(desk).map_err(|fault| told(&fault))?;
    let policy = data.join("policy.txt");
    let text = format!("log {log}\nwitness {NAME} {vkey} http://{address}\nquorum {NAME}\n");
    fs::write(&policy, text).map_err(|why| Fault::File(policy, why))
}

/// It serves for as long as the process runs.
fn serve(desk: Arc<desk::Desk>) -> std::io::Result<SocketAddr> {
    let (tell, told) = mpsc::channel();
    let run = move || {
        actix_web::rt::System::new().block_on(async move {
            match desk::serve(desk, SocketAddr::from(([127, 0, 0, 1], 0))) {
                Ok((server, address)) => {
                    let _heard = tell.send(Ok(address));
                    let _ended = server.await;
                }
                Err(fault) => drop(tell.send(Err(fault))),
            }
        });
    };
    thread::Builder::new()
        .name("neighbour".to_owned())
        .spawn(run)?;
    told.recv().map_err(std::io::Error::other)?
}
