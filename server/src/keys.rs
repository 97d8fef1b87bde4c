//! The exchange's own secrets: four different keys and the API tokens (DESIGN §7 Access, Keys; TRAIL E12).
//!
//! Made on first start by the operating system's generator, kept in the data folder with mode 0600, never printed: no
//! secret here has a `Debug` or a `Display`. The log key signs notes, the delivery and reply keys sign JWS: a signing
//! input of one is never one of another. ring seals and signs, but for replies; every *verdict* is `verifier::signature`'s.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf;
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{Ed25519KeyPair, KeyPair};
use verifier::id::Sha256Hash;
use verifier::signature::{PublicKey, Signer};
use verifier::trail::key::{KeyName, KeyType, VerifierKey};
use verifier::trail::note::{Note, SignatureLine};
use verifier::trail::{Flaw, FlawKind};

/// The file of each key in the data folder. The log key is made last: where it exists, all must.
const FILES: [&str; 4] = ["sealing.key", "reply.key", "delivery.key", "log.key"];
/// Random characters of a token: 30 of 62 letters are 178 bits.
const TOKEN_RANDOM: usize = 30;
/// Six letters of base 62 hold every CRC-32.
const TOKEN_CRC: usize = 6;
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Why the keys cannot be used; none of these texts holds a secret.
#[derive(Debug)]
pub enum Fault {
    /// A key file could not be read or made.
    File(PathBuf, io::Error),
    /// A key file is readable for others.
    Open(PathBuf, u32),
    /// A key file is missing although the log key exists.
    Missing(PathBuf),
    /// A key file does not hold such a key.
    Damaged(PathBuf),
    /// Two files hold the same key.
    Shared(&'static str, &'static str),
    /// The operating system gave no randomness.
    NoRandom,
    /// Sealed bytes were changed, or sealed under another name or key.
    Unsealed,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path, _) => write!(f, "the key file {} is not accessible", path.display()),
            Self::Open(path, mode) => write!(
                f,
                "the key file {} has mode {mode:04o}; set it to 0600",
                path.display()
            ),
            Self::Missing(path) => write!(
                f,
                "the key file {} is missing; restore it from the backup of this exchange",
                path.display()
            ),
            Self::Damaged(path) => write!(
                f,
                "{} holds no such key; restore it from the backup",
                path.display()
            ),
            Self::Shared(a, b) => write!(f, "{a} and {b} hold one key; they must differ"),
            Self::NoRandom => f.write_str("the operating system gave no random bytes"),
            Self::Unsealed => f.write_str("sealed bytes do not open: changed, or of another name"),
        }
    }
}

impl std::error::Error for Fault {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::File(_, error) => Some(error),
            Self::Open(..)
            | Self::Missing(_)
            | Self::Damaged(_)
            | Self::Shared(..)
            | Self::NoRandom
            | Self::Unsealed => None,
        }
    }
}

/// All keys of one exchange.
pub struct Keys {
    folder: PathBuf,
    /// Signs checkpoints, and nothing else. It is the first one; those that took over from it are found by [`log_key`].
    pub log: SigningKey,
    /// Signs delivery receipts for datasets that the exchange serves.
    pub delivery: SigningKey,
    /// Signs replies: the one key that signs at every request, so by the faster code (two thirds of ring's time).
    pub reply: Signer,
    /// Seals dataset bytes at rest.
    pub sealing: SealingKey,
    /// The sealing key's seed: keys for other uses come from it, see [`Keys::derived`].
    seed: [u8; 32],
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys")
    }
}

impl Keys {
    /// Opens the keys in a data folder; on the first start it makes them.
    /// # Errors
    /// [`Fault`], naming the file and what to do.
    pub fn open(folder: &Path) -> Result<Self, Fault> {
        let [sealing, reply, delivery, mut log] = FILES.map(|name| folder.join(name));
        if !log.exists()
            && let Some(later) = later_logs(folder)?.into_iter().next()
        {
            // The first key has had its time and was taken away.
            log = later;
        }
        let first_start = !log.exists();
        for path in [&sealing, &reply, &delivery, &log] {
            match (path.exists(), first_start) {
                (true, _) => {}
                (false, true) => make(path)?,
                (false, false) => return Err(Fault::Missing(path.clone())),
            }
        }
        let seeds = [
            seed(&sealing)?,
            seed(&reply)?,
            seed(&delivery)?,
            seed(&log)?,
        ];
        all_differ(&seeds)?;
        let [s, r, d, l] = &seeds;
        Ok(Self {
            folder: folder.to_owned(),
            log: SigningKey::from_seed(l).ok_or(Fault::Damaged(log))?,
            delivery: SigningKey::from_seed(d).ok_or(Fault::Damaged(delivery))?,
            reply: Signer::from_seed(r),
            sealing: SealingKey::new(s).ok_or(Fault::Damaged(sealing))?,
            seed: *s,
        })
    }
}

impl Keys {
    /// A key of its own for another use of what the sealing key protects, e.g. `quan/age`: HKDF-SHA-256 (RFC 5869) of its seed.
    #[must_use]
    pub fn derived(&self, info: &str) -> [u8; 32] {
        let secret = hkdf::Salt::new(hkdf::HKDF_SHA256, &[]).extract(&self.seed);
        let (info, mut key) = ([info.as_bytes()], [0; 32]);
        let expanded = secret.expand(&info, hkdf::HKDF_SHA256);
        // INVARIANT: 32 bytes are one block of SHA-256; ring refuses only more than 255 of them.
        assert!(
            expanded
                .and_then(|expanded| expanded.fill(&mut key))
                .is_ok()
        );
        key
    }

    /// Where the key files lie.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

/// The file of a key of the log that is not its first one: `log-<key id>.key`.
#[must_use]
pub fn log_file(folder: &Path, key: &VerifierKey) -> PathBuf {
    folder.join(format!("log-{:08x}.key", u32::from_be_bytes(key.id())))
}

/// Finds the secret of a key of the log in a data folder: in its own file, or in the first one's.
/// # Errors
/// [`Fault`]: a file is there and cannot be used.
pub fn log_key(folder: &Path, key: &VerifierKey) -> Result<Option<SigningKey>, Fault> {
    for path in [log_file(folder, key), folder.join("log.key")] {
        if !path.exists() {
            continue;
        }
        let secret = SigningKey::from_seed(&seed(&path)?).ok_or(Fault::Damaged(path))?;
        if secret.public() == key.public().to_bytes() {
            return Ok(Some(secret));
        }
    }
    Ok(None)
}

/// The secrets of the log that are not its first, each with its key under a name: made, and perhaps not used yet.
/// # Errors
/// [`Fault`]: a file is there and cannot be used.
pub fn later_log_keys(folder: &Path, name: &KeyName) -> Result<Vec<VerifierKey>, Fault> {
    let mut keys = Vec::new();
    for path in later_logs(folder)? {
        let secret = SigningKey::from_seed(&seed(&path)?);
        let key = secret.and_then(|secret| secret.verifier_key(name).ok());
        keys.push(key.ok_or(Fault::Damaged(path))?);
    }
    Ok(keys)
}

/// Makes a key of the log that is to take over under this name, and its file.
/// # Errors
/// [`Fault::File`], [`Fault::NoRandom`]
pub fn make_log_key(folder: &Path, name: &KeyName) -> Result<VerifierKey, Fault> {
    let seed = random::<32>()?;
    let secret = SigningKey::from_seed(&seed);
    let key = secret.and_then(|secret| secret.verifier_key(name).ok());
    let key = key.ok_or(Fault::NoRandom)?;
    let path = log_file(folder, &key);
    write_secret(&path, &seed).map_err(|error| Fault::File(path, error))?;
    Ok(key)
}

/// The files of keys of the log that are not its first, by their names.
fn later_logs(folder: &Path) -> Result<Vec<PathBuf>, Fault> {
    let fault = |error| Fault::File(folder.to_owned(), error);
    let mut found = Vec::new();
    for item in fs::read_dir(folder).map_err(fault)? {
        let item = item.map_err(fault)?;
        let name = item.file_name().to_string_lossy().into_owned();
        if name.starts_with("log-") && name.ends_with(".key") {
            found.push(item.path());
        }
    }
    found.sort();
    Ok(found)
}

fn all_differ(seeds: &[[u8; 32]; 4]) -> Result<(), Fault> {
    let named: Vec<_> = seeds.iter().zip(FILES).collect();
    for (i, (seed, name)) in named.iter().enumerate() {
        if let Some((_, earlier)) = named.iter().take(i).find(|(other, _)| other == seed) {
            return Err(Fault::Shared(earlier, name));
        }
    }
    Ok(())
}

/// Makes a key file of 32 random bytes. A crash leaves no file under this name, or a whole one.
/// # Errors
/// [`Fault::File`], [`Fault::NoRandom`]
pub fn make(path: &Path) -> Result<(), Fault> {
    write_secret(path, &random::<32>()?).map_err(|error| Fault::File(path.to_owned(), error))
}

/// Writes a secret durably with mode 0600: a temporary file, synced, then renamed, then its folder synced.
/// # Errors
/// What the file system says.
pub fn write_secret(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let staged = path.with_extension("new");
    // A leftover of a killed start was never used: nothing was renamed from it.
    match fs::remove_file(&staged) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&staged)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&staged, path)?;
    // A bare name lies in the working folder, whose path is not the empty one.
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

/// Reads a key file that nobody else may read.
/// # Errors
/// [`Fault::File`], [`Fault::Open`], [`Fault::Damaged`]
pub fn seed(path: &Path) -> Result<[u8; 32], Fault> {
    let fault = |error| Fault::File(path.to_owned(), error);
    let mode = fs::metadata(path).map_err(fault)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(Fault::Open(path.to_owned(), mode));
    }
    let bytes = fs::read(path).map_err(fault)?;
    bytes
        .try_into()
        .map_err(|_| Fault::Damaged(path.to_owned()))
}

/// An Ed25519 key that signs (RFC 8032: deterministic, so the same head gives the same line).
pub struct SigningKey(Ed25519KeyPair);

impl SigningKey {
    /// Takes the 32-byte seed of RFC 8032 §5.1.5.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Option<Self> {
        Ed25519KeyPair::from_seed_unchecked(seed).ok().map(Self)
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(self.0.public_key().as_ref());
        bytes
    }

    /// Signs a message.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        let mut bytes = [0; 64];
        bytes.copy_from_slice(self.0.sign(message).as_ref());
        bytes
    }

    /// The public half as a key that notes are checked with (C2SP signed-note), under a name.
    /// # Errors
    /// `trail.key`
    pub fn verifier_key(&self, name: &KeyName) -> Result<VerifierKey, Flaw> {
        let public = PublicKey::register(self.public())
            .map_err(|fault| Flaw::new(FlawKind::Key, fault.to_string()))?;
        Ok(VerifierKey::new(name.clone(), KeyType::Ed25519, public))
    }

    /// Signs the text of a note, and checks with the verifier what ring made before anybody sees it.
    /// # Errors
    /// `trail.note`; `trail.signature` if `key` is not this one's public half.
    pub fn sign_note(&self, key: &VerifierKey, text: String) -> Result<Note, Flaw> {
        let line = self.sign_line(key, &text)?;
        Note::new(text, vec![line])
    }

    /// The same, as one line of a note that others sign too.
    /// # Errors
    /// As [`Self::sign_note`].
    pub fn sign_line(&self, key: &VerifierKey, text: &str) -> Result<SignatureLine, Flaw> {
        let payload = [key.id().as_slice(), &self.sign(text.as_bytes())].concat();
        let line = format!("— {} {}\n", key.name(), STANDARD.encode(payload));
        let line = SignatureLine::parse_all(&line)?.pop();
        let line = line.ok_or_else(|| Flaw::new(FlawKind::Note, "a line that is none"))?;
        key.verify(text, &line)?;
        Ok(line)
    }
}

/// The key under which bytes lie sealed on disk (RFC 8439 ChaCha20-Poly1305, a random nonce in front).
pub struct SealingKey(LessSafeKey);

impl SealingKey {
    fn new(key: &[u8; 32]) -> Option<Self> {
        let key = UnboundKey::new(&CHACHA20_POLY1305, key).ok()?;
        Some(Self(LessSafeKey::new(key)))
    }

    /// Seals bytes under a name that must be given again to open them.
    /// # Errors
    /// [`Fault::NoRandom`]; [`Fault::Unsealed`] beyond 256 GiB, the limit of the cipher.
    pub fn seal(&self, name: &str, bytes: &[u8]) -> Result<Vec<u8>, Fault> {
        let nonce: [u8; NONCE_LEN] = random()?;
        let mut body = bytes.to_vec();
        let assured = Nonce::assume_unique_for_key(nonce);
        self.0
            .seal_in_place_append_tag(assured, Aad::from(name.as_bytes()), &mut body)
            .map_err(|_| Fault::Unsealed)?;
        Ok([nonce.as_slice(), &body].concat())
    }

    /// Opens what [`Self::seal`] sealed under the same name.
    /// # Errors
    /// [`Fault::Unsealed`].
    pub fn open(&self, name: &str, sealed: &[u8]) -> Result<Vec<u8>, Fault> {
        let (nonce, body) = sealed
            .split_first_chunk::<NONCE_LEN>()
            .ok_or(Fault::Unsealed)?;
        let mut body = body.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let opened = self
            .0
            .open_in_place(nonce, Aad::from(name.as_bytes()), &mut body)
            .map_err(|_| Fault::Unsealed)?;
        Ok(opened.to_vec())
    }
}

/// An API token `quan_<role>_<30 base62><crc>`: the check digits let a scanner and we tell a typing error from a guess.
pub struct Token(String);

impl Token {
    /// Draws a token for a role, `[a-z]{1,16}`.
    /// # Errors
    /// [`Fault::NoRandom`].
    pub fn draw(role: &str) -> Result<Self, Fault> {
        let mut secret = String::new();
        while secret.len() < TOKEN_RANDOM {
            secret.extend(random::<64>()?.into_iter().filter_map(letter));
        }
        secret.truncate(TOKEN_RANDOM);
        let mut text = format!("quan_{role}_{secret}");
        text.push_str(&check_digits(&text));
        Ok(Self(text))
    }

    /// Reads a token; nothing but its form and check digits is known to be right afterwards.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (role, secret) = text.strip_prefix("quan_")?.split_once('_')?;
        let role_is_well_formed =
            (1..=16).contains(&role.len()) && role.bytes().all(|c| c.is_ascii_lowercase());
        let secret_is_well_formed = secret.len() == TOKEN_RANDOM + TOKEN_CRC
            && secret.bytes().all(|c| c.is_ascii_alphanumeric());
        if !role_is_well_formed || !secret_is_well_formed {
            return None;
        }
        let (body, digits) = text.split_at_checked(text.len() - TOKEN_CRC)?;
        (check_digits(body) == digits).then(|| Self(text.to_owned()))
    }

    /// The role in the text, for people: what the key may do is read from its row.
    #[must_use]
    pub fn role(&self) -> &str {
        self.0.split('_').nth(1).unwrap_or_default()
    }

    /// What is stored instead of the token. Its 178 random bits need no slow hash.
    #[must_use]
    pub fn hash(&self) -> Sha256Hash {
        Sha256Hash::of(self.0.as_bytes())
    }

    /// The secret text, to be shown once to its owner.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// A letter for a random byte. 248 = 4 × 62: the bytes above would make some letters likelier than others.
fn letter(byte: u8) -> Option<char> {
    let letter = BASE62.get(usize::from(byte % 62)).copied().map(char::from);
    letter.filter(|_| byte < 248)
}

fn check_digits(body: &str) -> String {
    let mut rest = crc32(body.as_bytes());
    let mut digits = [b'0'; TOKEN_CRC];
    for digit in digits.iter_mut().rev() {
        let index = usize::try_from(rest % 62).unwrap_or_default();
        *digit = BASE62.get(index).copied().unwrap_or(b'0');
        rest /= 62;
    }
    digits.map(char::from).iter().collect()
}

/// CRC-32 of ISO 3309 and gzip, bit by bit: 50 bytes a token need no table.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| (crc >> 1) ^ (0xedb8_8320 * (crc & 1));
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), step)
    })
}

fn random<const N: usize>() -> Result<[u8; N], Fault> {
    let mut bytes = [0; N];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| Fault::NoRandom)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn public(keys: &Keys) -> [[u8; 32]; 3] {
        [
            keys.log.public(),
            keys.delivery.public(),
            keys.reply.public().to_bytes(),
        ]
    }

    #[test]
    fn the_first_start_makes_keys_and_the_second_finds_them() {
        let folder = tempfile::tempdir().unwrap();
        let first = Keys::open(folder.path()).unwrap();
        let again = Keys::open(folder.path()).unwrap();
        assert_eq!(public(&first), public(&again));
        for name in FILES {
            let mode = fs::metadata(folder.path().join(name))
                .unwrap()
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
        let sealed = first.sealing.seal("a", b"bytes").unwrap();
        assert_eq!(again.sealing.open("a", &sealed).unwrap(), b"bytes");
    }

    #[test]
    fn a_later_key_of_the_log_is_found_by_its_public_half_and_may_be_the_only_one() {
        let folder = tempfile::tempdir().unwrap();
        let (path, name) = (folder.path(), KeyName::parse("localhost/quan").unwrap());
        let first = Keys::open(path).unwrap().log.verifier_key(&name).unwrap();
        assert!(later_log_keys(path, &name).unwrap().is_empty());
        let later = make_log_key(path, &name).unwrap();
        assert_eq!(
            later_log_keys(path, &name).unwrap(),
            std::slice::from_ref(&later)
        );
        for key in [&first, &later] {
            let secret = log_key(path, key).unwrap().unwrap();
            assert_eq!(secret.verifier_key(&name).unwrap(), *key);
        }
        let mode = fs::metadata(log_file(path, &later)).unwrap().permissions();
        assert_eq!(mode.mode() & 0o777, 0o600);
        fs::remove_file(path.join("log.key")).unwrap();
        assert!(log_key(path, &first).unwrap().is_none());
        // No first start, which would make a key that nobody knows.
        let keys = Keys::open(path).unwrap();
        assert_eq!(keys.log.verifier_key(&name).unwrap(), later);
        assert!(!path.join("log.key").exists());
        fs::write(log_file(path, &later), b"short").unwrap();
        assert!(matches!(log_key(path, &later), Err(Fault::Damaged(_))));
    }

    #[test]
    fn a_lost_key_is_not_replaced_in_silence() {
        for name in ["sealing.key", "reply.key", "delivery.key"] {
            let folder = tempfile::tempdir().unwrap();
            Keys::open(folder.path()).unwrap();
            fs::remove_file(folder.path().join(name)).unwrap();
            assert!(
                matches!(Keys::open(folder.path()), Err(Fault::Missing(_))),
                "{name}"
            );
        }
    }

    #[test]
    fn a_key_that_others_may_read_or_that_serves_two_uses_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        Keys::open(folder.path()).unwrap();
        let log = folder.path().join("log.key");
        fs::set_permissions(&log, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(
            Keys::open(folder.path()),
            Err(Fault::Open(_, 0o640))
        ));
        fs::set_permissions(&log, fs::Permissions::from_mode(0o600)).unwrap();
        fs::copy(&log, folder.path().join("reply.key")).unwrap();
        let refused = Keys::open(folder.path());
        assert!(matches!(
            refused,
            Err(Fault::Shared("reply.key", "log.key"))
        ));
        fs::write(&log, b"short").unwrap();
        assert!(matches!(Keys::open(folder.path()), Err(Fault::Damaged(_))));
    }

    #[test]
    fn sealed_bytes_open_only_under_their_name_and_unchanged() {
        let folder = tempfile::tempdir().unwrap();
        let keys = Keys::open(folder.path()).unwrap();
        let sealed = keys.sealing.seal("name", b"the bytes").unwrap();
        assert!(keys.sealing.open("other", &sealed).is_err());
        assert!(keys.sealing.open("name", &sealed[..11]).is_err());
        for i in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[i] ^= 1;
            assert!(keys.sealing.open("name", &changed).is_err(), "byte {i}");
        }
    }

    #[test]
    fn a_token_is_read_again_and_a_slip_of_one_letter_is_not() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        let token = Token::draw("buyer").unwrap();
        let text = token.expose();
        assert_eq!(text.len(), "quan_buyer_".len() + 36);
        let read = Token::parse(text).unwrap();
        assert_eq!(read.role(), "buyer");
        assert_eq!(read.hash(), Sha256Hash::of(text.as_bytes()));
        for i in 11..text.len() {
            let mut slip = text.to_owned().into_bytes();
            slip[i] = if slip[i] == b'a' { b'b' } else { b'a' };
            let slip = String::from_utf8(slip).unwrap();
            assert!(Token::parse(&slip).is_none(), "{i}");
        }
        for bad in [
            "",
            "quan__",
            "quan_Buyer_x",
            "券_a_",
            &text[1..],
            &format!("{text}0"),
        ] {
            assert!(Token::parse(bad).is_none(), "{bad}");
        }
    }
}
