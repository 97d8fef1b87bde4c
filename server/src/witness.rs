//! The witnesses of the policy file, as the exchange asks them (C2SP tlog-witness, TRAIL D6). The publisher calls this.
//!
//! All are asked at once and none is waited for longer than a second. What one answers is kept only when it verifies; one that
//! lies, is ahead or has another root is named on `/health` and `/metrics` and never followed. Asked only for a head whose row is
//! durable and whose tiles are put.

use std::fmt;
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::sync::watch;
use verifier::trail::checkpoint::Checkpoint;
use verifier::trail::cosignature;
use verifier::trail::key::{Origin, VerifierKey};
use verifier::trail::note::{Note, SignatureLine};
use verifier::trail::policy::{Policy, Witness};
use verifier::trail::tile::{TilePath, Tiles, WIDTH_FULL};
use verifier::trail::witness::{self, ADD_CHECKPOINT, ANSWER_BYTES_MAX, AddCheckpoint, Answer};
use verifier::trail::{Flaw, FlawKind, Hash, TreeSize};

use crate::objects::{self, Objects, wait};

/// How long one round of questions may take: the published checkpoint waits so long at most where no quorum is asked for.
const TIMEOUT: Duration = Duration::from_secs(1);
/// How long a witness that did not answer is left alone: a stalling one must not slow every checkpoint.
const REST: Duration = Duration::from_secs(5);
/// How long one is left alone that answered what cannot be followed: a person has to look.
const LONG_REST: Duration = Duration::from_secs(60);
/// A witness is asked once more when it tells from where.
const QUESTIONS_MAX: u32 = 2;

/// Why a witness has not cosigned.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Trouble {
    /// It does not answer in time.
    Unreachable(String),
    /// It says it has cosigned so many entries, which we do not have.
    Ahead(TreeSize),
    /// Another server of this exchange asked it at the same time, for more.
    Overtaken,
    /// What it answers, or did not like.
    Flaw(Flaw),
    /// We could not make the proof; the log has the reason.
    Own(String),
}

impl Trouble {
    const fn code(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => "trail.witness-unreachable",
            Self::Ahead(_) => FlawKind::WitnessAhead.as_str(),
            Self::Overtaken => FlawKind::WitnessSize.as_str(),
            Self::Flaw(flaw) => flaw.code(),
            Self::Own(_) => "trail.witness-proof",
        }
    }

    const fn rest(&self) -> Duration {
        match self {
            Self::Unreachable(_) | Self::Own(_) => REST,
            Self::Ahead(_) | Self::Flaw(_) => LONG_REST,
            Self::Overtaken => Duration::ZERO,
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(why) | Self::Own(why) => f.write_str(why),
            Self::Ahead(size) => write!(
                f,
                "it says it has cosigned {size} entries, more than we have"
            ),
            Self::Overtaken => f.write_str("another server asked it at the same time"),
            Self::Flaw(flaw) => f.write_str(flaw.sentence()),
        }
    }
}

impl From<Flaw> for Trouble {
    fn from(flaw: Flaw) -> Self {
        Self::Flaw(flaw)
    }
}

impl From<ureq::Error> for Trouble {
    fn from(fault: ureq::Error) -> Self {
        Self::Unreachable(fault.to_string())
    }
}

/// How a witness stands, for `/health` and `/metrics`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Standing {
    /// Its name in the policy.
    pub name: String,
    /// The size of the newest checkpoint that it has cosigned for us; none before the first.
    pub size: Option<u64>,
    /// The time of that cosignature in Unix seconds.
    pub time: Option<u64>,
    /// Why it did not cosign when it was asked last; none if it did.
    pub code: Option<&'static str>,
    /// The same in words.
    pub sentence: Option<String>,
}

/// A cosignature by one witness.
struct Kept {
    text: String,
    size: TreeSize,
    line: SignatureLine,
    time: u64,
    since: Instant,
}

/// A witness that has a url.
struct Peer {
    name: String,
    key: VerifierKey,
    url: String,
    agent: ureq::Agent,
    /// What it cosigned last, as far as we know; a conflict corrects it.
    last: TreeSize,
    kept: Option<Kept>,
    trouble: Option<Trouble>,
    rests_until: Option<Instant>,
}

/// What one round asks for.
struct Round<'r> {
    objects: &'r Objects,
    note: &'r Note,
    checkpoint: &'r Checkpoint,
    now: u64,
    deadline: Instant,
}

/// The witnesses of a policy.
pub struct Witnesses {
    policy: Policy,
    peers: Vec<Peer>,
    again: Duration,
    told: watch::Sender<Vec<Standing>>,
}

/// A checkpoint that a witness shows, not yet compared with anything; signed by this log's key.
pub struct Shown {
    /// The witness's name in the policy.
    pub witness: String,
    /// The checkpoint's size.
    pub size: u64,
    /// Its root.
    pub root: Hash,
}

impl Witnesses {
    /// Takes the witnesses of a policy that have a url; an unchanged head is cosigned again after `again`.
    #[must_use]
    pub fn new(policy: Policy, again: Duration) -> Self {
        let peers = policy.witnesses().iter().filter_map(Peer::new).collect();
        let witnesses = Self {
            policy,
            peers,
            again,
            told: watch::Sender::new(Vec::new()),
        };
        witnesses.tell();
        witnesses
    }

    /// Whether there is anybody to ask.
    #[must_use]
    pub const fn has_any(&self) -> bool {
        !self.peers.is_empty()
    }

    /// How each stands, as it changes.
    #[must_use]
    pub fn standings(&self) -> watch::Receiver<Vec<Standing>> {
        self.told.subscribe()
    }

    /// A key of the log has taken over since the policy was read.
    pub fn trust(&mut self, key: &VerifierKey) {
        self.policy.trust(key.clone());
    }

    /// What each reachable witness shows of this log; what does not carry a signature by one of the log's own keys is nobody's
    /// word.
    pub fn shown(&mut self, log: &[VerifierKey]) -> Vec<Shown> {
        let deadline = deadline();
        let mut shown = Vec::new();
        thread::scope(|scope| {
            let asked = self.peers.iter_mut();
            let asked: Vec<_> = asked
                .map(|peer| scope.spawn(move || peer.shown(log, deadline)))
                .collect();
            // A thread that panicked has shown nothing.
            shown.extend(
                asked
                    .into_iter()
                    .filter_map(|one| one.join().ok().flatten()),
            );
        });
        self.tell();
        shown
    }

    /// Whether somebody is to be asked for a cosignature on this text now.
    #[must_use]
    pub fn is_due(&self, note: &Note) -> bool {
        self.peers
            .iter()
            .any(|peer| peer.is_due(note.text(), self.again))
    }

    /// Asks all whom it is time to ask. The head's row is durable and its tiles are put.
    pub fn ask(&mut self, objects: &Objects, note: &Note, checkpoint: &Checkpoint, now: u64) {
        let again = self.again;
        let round = Round {
            objects,
            note,
            checkpoint,
            now,
            deadline: deadline(),
        };
        thread::scope(|scope| {
            let due = self.peers.iter_mut();
            for peer in due.filter(|peer| peer.is_due(note.text(), again)) {
                scope.spawn(|| peer.ask(&round));
            }
        });
        self.tell();
    }

    /// Sizes that witnesses claim to have cosigned and that the asking server did not state.
    #[must_use]
    pub fn claimed(&self) -> Vec<TreeSize> {
        let claimed = self.peers.iter().filter_map(|peer| match peer.trouble {
            Some(Trouble::Ahead(size)) => Some(size),
            Some(
                Trouble::Unreachable(_) | Trouble::Overtaken | Trouble::Flaw(_) | Trouble::Own(_),
            )
            | None => None,
        });
        claimed.collect()
    }

    /// That size was signed by another server on this database: no alarm.
    pub fn excuse(&mut self, size: TreeSize) {
        let claims = |peer: &&mut Peer| peer.trouble == Some(Trouble::Ahead(size));
        for peer in self.peers.iter_mut().filter(claims) {
            peer.trouble = Some(Trouble::Overtaken);
            peer.rests_until = None;
        }
        self.tell();
    }

    /// The note with the newest cosignature of each witness on exactly this text, in the policy's order.
    /// # Errors
    /// `trail.note`: more than 100 lines.
    pub fn cosigned(&self, note: &Note) -> Result<Note, Flaw> {
        let known = |line: &&SignatureLine| {
            let mut witnesses = self.policy.witnesses().iter();
            witnesses.any(|witness| witness.key.made(line))
        };
        let lines = note.signatures().iter();
        let others = lines.clone().filter(|line| !known(line)).cloned();
        let cosignatures = self.policy.witnesses().iter().filter_map(|witness| {
            let peer = self.peers.iter().find(|peer| peer.key == witness.key);
            let kept = peer.and_then(|peer| peer.kept.as_ref());
            let kept = kept.filter(|kept| kept.text == note.text());
            let there = lines.clone().find(|line| witness.key.made(line));
            kept.map(|kept| &kept.line).or(there).cloned()
        });
        Note::new(note.text().to_owned(), others.chain(cosignatures).collect())
    }

    /// The newest time at which one of the policy's witnesses has cosigned; none if none has.
    /// # Errors
    /// What the policy does not accept: `trail.quorum` is to be waited for, everything else is a bug.
    pub fn time(&self, note: &Note) -> Result<Option<u64>, Flaw> {
        let verified = self.policy.check(note)?;
        Ok(verified.cosignatures().iter().map(|by| by.time).max())
    }

    fn tell(&self) {
        let standings = self.peers.iter().map(Peer::standing).collect();
        self.told.send_replace(standings);
    }
}

fn deadline() -> Instant {
    let now = Instant::now();
    now.checked_add(TIMEOUT).unwrap_or(now)
}

impl Peer {
    fn new(witness: &Witness) -> Option<Self> {
        let url = witness.url.as_deref()?.trim_end_matches('/').to_owned();
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            // A witness answers itself: what it redirects to is not in the policy.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .build();
        Some(Self {
            name: witness.name.clone(),
            key: witness.key.clone(),
            url,
            agent: config.new_agent(),
            last: TreeSize::ZERO,
            kept: None,
            trouble: None,
            rests_until: None,
        })
    }

    fn is_due(&self, text: &str, again: Duration) -> bool {
        if self.rests_until.is_some_and(|until| Instant::now() < until) {
            return false;
        }
        let fresh = |kept: &Kept| kept.text == text && kept.since.elapsed() < again;
        !self.kept.as_ref().is_some_and(fresh)
    }

    fn ask(&mut self, round: &Round<'_>) {
        match self.converse(round) {
            Ok((line, time)) => {
                let size = round.checkpoint.size();
                self.last = size;
                self.kept = Some(Kept {
                    text: round.note.text().to_owned(),
                    size,
                    line,
                    time,
                    since: Instant::now(),
                });
                if self.trouble.take().is_some() {
                    tracing::info!(witness = self.name, %size, "the witness cosigns again");
                }
                self.rests_until = None;
            }
            Err(trouble) => self.trouble_with(trouble),
        }
    }

    fn trouble_with(&mut self, trouble: Trouble) {
        if self.trouble.as_ref().map(Trouble::code) != Some(trouble.code()) {
            let (witness, code) = (&self.name, trouble.code());
            match trouble {
                Trouble::Overtaken => tracing::debug!(witness, code, %trouble, "not cosigned"),
                Trouble::Unreachable(_) | Trouble::Own(_) => {
                    tracing::warn!(witness, code, %trouble, "not cosigned");
                }
                Trouble::Ahead(_) | Trouble::Flaw(_) => {
                    tracing::error!(witness, code, %trouble, "the witness is not followed");
                }
            }
        }
        self.rests_until = Instant::now().checked_add(trouble.rest());
        self.trouble = Some(trouble);
    }

    /// Asks from what the witness is known to have cosigned, and once more from what it says.
    fn converse(&mut self, round: &Round<'_>) -> Result<(SignatureLine, u64), Trouble> {
        let size = round.checkpoint.size();
        for _ in 0..QUESTIONS_MAX {
            let old = self.last.min(size);
            let proof = prove(round.objects, old, size);
            let proof = proof.map_err(|unproven| Trouble::Own(unproven.0))?;
            let request = AddCheckpoint::new(old, proof, round.note.clone())?;
            match self.post(&request, round.deadline)? {
                Answer::Cosigned { time, .. } if cosignature::is_future(time, round.now) => {
                    let sentence = format!("its clock says {time}, ours {}", round.now);
                    return Err(Flaw::new(FlawKind::Cosignature, sentence).into());
                }
                Answer::Cosigned { line, time } => return Ok((line, time)),
                Answer::Ahead(claimed) => return Err(Trouble::Ahead(claimed)),
                Answer::Last(last) => self.last = last,
            }
        }
        Err(Trouble::Overtaken)
    }

    fn post(&self, request: &AddCheckpoint, deadline: Instant) -> Result<Answer, Trouble> {
        let post = self.agent.post(format!("{}/{ADD_CHECKPOINT}", self.url));
        let post = post.config().timeout_global(Some(left(deadline))).build();
        let mut response = post.send(request.to_string())?;
        let media_type = response.headers().get("content-type");
        let media_type = media_type
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned);
        let status = response.status().as_u16();
        let body = read(&mut response)?;
        let head = (status, media_type.as_deref());
        Ok(witness::read_answer(&self.key, request, head, &body)?)
    }

    fn shown(&mut self, log: &[VerifierKey], deadline: Instant) -> Option<Shown> {
        let found = self.get(log.last()?.name(), deadline);
        let checkpoint = match found.and_then(|body| signed_by(log, body.as_deref())) {
            Ok(found) => found?,
            Err(trouble) => {
                self.trouble_with(trouble);
                return None;
            }
        };
        self.last = checkpoint.size();
        Some(Shown {
            witness: self.name.clone(),
            size: checkpoint.size().get(),
            root: checkpoint.root(),
        })
    }

    /// The newest note that the witness shows of a log; `None` if it has never cosigned one.
    fn get(&self, origin: &Origin, deadline: Instant) -> Result<Option<Vec<u8>>, Trouble> {
        let path = witness::monitoring_path(origin);
        let get = self.agent.get(format!("{}/{path}", self.url));
        let get = get.config().timeout_global(Some(left(deadline))).build();
        let mut response = get.call()?;
        match response.status().as_u16() {
            200 => read(&mut response).map(Some),
            404 => Ok(None),
            status => {
                let sentence = format!("it shows no checkpoint: status {status}");
                Err(Flaw::new(FlawKind::WitnessAnswer, sentence).into())
            }
        }
    }

    fn standing(&self) -> Standing {
        Standing {
            name: self.name.clone(),
            size: self.kept.as_ref().map(|kept| kept.size.get()),
            time: self.kept.as_ref().map(|kept| kept.time),
            code: self.trouble.as_ref().map(Trouble::code),
            sentence: self.trouble.as_ref().map(ToString::to_string),
        }
    }
}

/// A request without a time would have no limit.
fn left(deadline: Instant) -> Duration {
    let left = deadline.saturating_duration_since(Instant::now());
    left.max(Duration::from_millis(1))
}

fn read(response: &mut ureq::http::Response<ureq::Body>) -> Result<Vec<u8>, Trouble> {
    let limit = u64::try_from(ANSWER_BYTES_MAX).unwrap_or(u64::MAX);
    let body = response.body_mut().with_config().limit(limit);
    Ok(body.read_to_vec()?)
}

/// Reads a checkpoint that carries a signature by one of this log's keys, which have one name.
fn signed_by(log: &[VerifierKey], note: Option<&[u8]>) -> Result<Option<Checkpoint>, Trouble> {
    let (Some(note), Some(newest)) = (note, log.last()) else {
        return Ok(None);
    };
    let note = Note::parse(note)?;
    note.open(log)?;
    let checkpoint = Checkpoint::parse(note.text())?;
    if checkpoint.origin() == newest.name() {
        return Ok(Some(checkpoint));
    }
    let sentence = format!("it shows {} as {}", checkpoint.origin(), newest.name());
    Err(Flaw::new(FlawKind::Origin, sentence).into())
}

/// Why there is no proof.
struct Unproven(String);

impl From<Flaw> for Unproven {
    fn from(flaw: Flaw) -> Self {
        Self(flaw.to_string())
    }
}

impl From<objects::Fault> for Unproven {
    fn from(fault: objects::Fault) -> Self {
        Self(fault.to_string())
    }
}

/// The proof that the tree of `old` entries is a prefix of that of `size`, from the tiles that are put.
fn prove(objects: &Objects, old: TreeSize, size: TreeSize) -> Result<Vec<Hash>, Unproven> {
    let fetch = |path: TilePath| {
        let full = TilePath::new(path.level(), path.number(), WIDTH_FULL);
        for path in [Some(path), full].into_iter().flatten() {
            if let Some(bytes) = wait(objects.get(&path.to_string()))? {
                return Ok(bytes.into());
            }
        }
        Err(Unproven(format!("{path} is missing")))
    };
    Tiles::new(size, fetch).prove_consistency(old)
}
