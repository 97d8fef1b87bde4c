//! Immutable objects under names: the trail's plain tiles and sealed datasets (DESIGN §7 Objects, TRAIL B4.8).
//!
//! A put is idempotent or an alarm: the same bytes again are no error, other bytes under a name that is taken are never
//! written. Only `checkpoint` is replaced. The local folder syncs file and directory before a put returns; of objects that are put
//! together each file once, and each directory once.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::future::Future;
use std::io::{self, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

mod folder;
mod s3;

pub use s3::Access;

use bytes::Bytes;
use folder::Staged;
use futures_util::TryStreamExt as _;
use object_store::local::LocalFileSystem;
use object_store::path::Path as Name;
use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt, PutMode};
use verifier::audit::Files;

/// Bytes of a part of a large object: S3 takes no smaller one than 5 MiB, and ten thousand of them.
const PART_BYTES: u64 = 16 << 20;

/// Why an object was not read or written.
#[derive(Debug)]
pub enum Fault {
    /// The folder itself cannot be used.
    Folder(PathBuf, io::Error),
    /// The store failed; whether a write took effect is unknown.
    Store(String, object_store::Error),
    /// The setting is neither a folder nor `s3://BUCKET/PREFIX`.
    Address(String),
    /// A variable of the environment that a bucket needs.
    Environment(&'static str),
    /// What was to be put could not be read.
    Read(String, io::Error),
    /// A file of the folder could not be written.
    Write(String, io::Error),
    /// Another object lies under this name: somebody else writes here, or the disk changed it. Nothing was written.
    Differs(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path, _) => write!(f, "the folder {} cannot be used", path.display()),
            Self::Store(name, _) | Self::Write(name, _) => {
                write!(f, "the object {name} cannot be read or written")
            }
            Self::Read(name, _) => write!(f, "what was to be put as {name} cannot be read"),
            Self::Address(text) => write!(f, "{text} is neither a folder nor s3://BUCKET/PREFIX"),
            Self::Environment(name) => write!(
                f,
                "the trail's bucket needs {name} in the environment; AWS_ENDPOINT_URL and AWS_REGION say where it is"
            ),
            Self::Differs(name) => write!(
                f,
                "object.differs: {name} exists with other bytes; run `quan doctor`, and see who else writes there"
            ),
        }
    }
}

impl std::error::Error for Fault {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Folder(_, error) | Self::Read(_, error) | Self::Write(_, error) => Some(error),
            Self::Store(_, error) => Some(error),
            Self::Address(_) | Self::Environment(_) | Self::Differs(_) => None,
        }
    }
}

impl Fault {
    /// Whether the store has answered, and no object lies there.
    #[must_use]
    pub const fn is_absence(&self) -> bool {
        matches!(self, Self::Store(_, object_store::Error::NotFound { .. }))
    }
}

/// Where objects lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In a local folder.
    Folder(PathBuf),
    /// In a bucket, below a prefix that may be empty.
    Bucket {
        /// The bucket's name.
        bucket: String,
        /// What comes before each object's name, without a `/` at its ends.
        prefix: String,
    },
}

impl Place {
    /// Reads a folder's path or `s3://BUCKET/PREFIX`.
    /// # Errors
    /// [`Fault::Address`]
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let fault = || Fault::Address(text.to_owned());
        let Some(rest) = text.strip_prefix("s3://") else {
            let is_folder = !text.is_empty() && !text.contains("://");
            return is_folder
                .then(|| Self::Folder(PathBuf::from(text)))
                .ok_or_else(fault);
        };
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
        let has_slash = prefix.starts_with('/') || prefix.ends_with('/');
        if bucket.is_empty() || has_slash || (!prefix.is_empty() && Name::parse(prefix).is_err()) {
            return Err(fault());
        }
        Ok(Self::Bucket {
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
        })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path) => path.display().fmt(f),
            Self::Bucket { bucket, prefix } => write!(f, "s3://{bucket}/{prefix}"),
        }
    }
}

/// One place for objects; clones share it.
#[derive(Debug, Clone)]
pub struct Objects {
    store: Arc<dyn ObjectStore>,
    /// Where it is a local folder.
    root: Option<Arc<Path>>,
}

/// An object on its way ([`Objects::stage`]): it has no name yet.
#[derive(Debug)]
pub struct Coming {
    name: String,
    bytes: Bytes,
    /// Its file, where it comes into a folder.
    staged: Option<Staged>,
    /// What [`Objects::keep`] syncs.
    folder: Option<PathBuf>,
}

impl Objects {
    /// Opens a place to write to; a bucket by the credentials of the environment.
    /// # Errors
    /// [`Fault`]
    pub fn open(place: &Place) -> Result<Self, Fault> {
        match place {
            Place::Folder(root) => Self::folder(root),
            Place::Bucket { bucket, prefix } => {
                let access = Access::from_environment();
                let access = access.map_err(|missing| Fault::Environment(missing.0))?;
                Self::bucket(bucket, prefix, access)
            }
        }
    }

    /// Opens a place beside a server that may be writing to it: what that one has staged is left alone.
    /// # Errors
    /// [`Fault`]
    pub fn beside(place: &Place) -> Result<Self, Fault> {
        match place {
            Place::Folder(root) => Self::plain_folder(root),
            Place::Bucket { .. } => Self::open(place),
        }
    }

    /// Opens a bucket; nothing is asked of it yet.
    /// # Errors
    /// [`Fault::Store`]
    pub fn bucket(bucket: &str, prefix: &str, access: Access) -> Result<Self, Fault> {
        let opened = s3::open(bucket, prefix, access);
        opened
            .map(|store| Self { store, root: None })
            .map_err(|error| Fault::Store(format!("s3://{bucket}/{prefix}"), error))
    }

    /// Opens a local folder, making it where it is missing, and removes what a killed put has left in it.
    /// # Errors
    /// [`Fault::Folder`].
    pub fn folder(root: &Path) -> Result<Self, Fault> {
        let fault = |error| Fault::Folder(root.to_owned(), error);
        fs::create_dir_all(root).map_err(fault)?;
        remove_staged(root).map_err(fault)?;
        Self::plain_folder(root)
    }

    fn plain_folder(root: &Path) -> Result<Self, Fault> {
        let store = LocalFileSystem::new_with_prefix(root)
            .map_err(|error| Fault::Store(root.display().to_string(), error))?
            .with_fsync(true);
        Ok(Self {
            store: Arc::new(store),
            root: Some(root.into()),
        })
    }

    /// The names of all objects.
    /// # Errors
    /// [`Fault::Store`].
    pub async fn list(&self) -> Result<Vec<String>, Fault> {
        let listed = self.store.list(None).try_collect::<Vec<_>>().await;
        let listed = listed.map_err(|error| Fault::Store("the list of objects".into(), error))?;
        Ok(listed
            .into_iter()
            .map(|object| object.location.to_string())
            .collect())
    }

    /// Puts an immutable object; durable when this returns. Into a folder it blocks.
    /// # Errors
    /// [`Fault::Differs`] if other bytes lie there, [`Fault::Store`], [`Fault::Write`].
    pub async fn put(&self, name: &str, bytes: Bytes) -> Result<(), Fault> {
        let mut coming = self.stage(vec![(name.to_owned(), bytes)])?;
        for object in &mut coming {
            self.name(object).await?;
        }
        self.keep(&coming)
    }

    /// Brings immutable objects on their way: in a folder their bytes are durable when this returns, under nobody's names.
    /// # Errors
    /// [`Fault::Store`], [`Fault::Write`]: nothing is left of them then.
    pub fn stage(&self, objects: Vec<(String, Bytes)>) -> Result<Vec<Coming>, Fault> {
        let stage = |(name, bytes)| self.coming(name, bytes);
        let coming = objects
            .into_iter()
            .map(stage)
            .collect::<Result<Vec<_>, _>>()?;
        for Coming { name, staged, .. } in &coming {
            if let Some(staged) = staged {
                let synced = staged.sync();
                synced.map_err(|error| Fault::Write(name.clone(), error))?;
            }
        }
        Ok(coming)
    }

    fn coming(&self, name: String, bytes: Bytes) -> Result<Coming, Fault> {
        let parsed = path(&name)?;
        let staged = match &self.root {
            None => None,
            Some(root) => {
                let staged = Staged::write(root.join(parsed.as_ref()), &bytes);
                Some(staged.map_err(|error| Fault::Write(name.clone(), error))?)
            }
        };
        Ok(Coming {
            name,
            bytes,
            folder: staged.as_ref().and_then(Staged::folder),
            staged,
        })
    }

    /// Gives an object its name. In a bucket it is durable then; in a folder once it is kept.
    /// # Errors
    /// [`Fault::Differs`] if other bytes lie there, [`Fault::Store`], [`Fault::Write`].
    pub async fn name(&self, object: &mut Coming) -> Result<(), Fault> {
        let name = &object.name;
        let is_new = match object.staged.take() {
            Some(staged) => {
                let named = staged.name();
                named.map_err(|error| Fault::Write(name.clone(), error))?
            }
            None => self.create(name, &object.bytes).await?,
        };
        if is_new || self.get(name).await?.as_ref() == Some(&object.bytes) {
            return Ok(());
        }
        Err(Fault::Differs(name.clone()))
    }

    /// Puts an object under a name, unless that is taken; whether it is there now.
    async fn create(&self, name: &str, bytes: &Bytes) -> Result<bool, Fault> {
        let (path, bytes) = (path(name)?, bytes.clone().into());
        let created = self.store.put_opts(&path, bytes, PutMode::Create.into());
        match created.await {
            Ok(_) => Ok(true),
            Err(object_store::Error::AlreadyExists { .. }) => Ok(false),
            Err(error) => Err(Fault::Store(name.to_owned(), error)),
        }
    }

    /// Makes the names of objects durable.
    /// # Errors
    /// [`Fault::Folder`]
    pub fn keep(&self, named: &[Coming]) -> Result<(), Fault> {
        let folders = named.iter().filter_map(|object| object.folder.as_deref());
        let folders: BTreeSet<&Path> = folders.collect();
        folders.into_iter().try_for_each(|folder| {
            folder::sync(folder).map_err(|error| Fault::Folder(folder.to_owned(), error))
        })
    }

    /// Replaces an object in one step: a reader sees the old bytes or the new ones.
    /// # Errors
    /// [`Fault::Store`].
    pub async fn replace(&self, name: &str, bytes: Bytes) -> Result<(), Fault> {
        let put = self.store.put(&path(name)?, bytes.into()).await;
        put.map(|_| ())
            .map_err(|error| Fault::Store(name.to_owned(), error))
    }

    /// Puts what a reader gives under a name that nobody else has, part by part: never more than one of them is in memory. Durable when
    /// this returns. Blocking.
    /// # Errors
    /// [`Fault::Store`], [`Fault::Read`]: nothing lies under the name then.
    pub fn publish(&self, name: &str, from: &mut dyn Read) -> Result<(), Fault> {
        let fault = |error| Fault::Store(name.to_owned(), error);
        let mut upload = wait(self.store.put_multipart(&path(name)?)).map_err(fault)?;
        let put = put_parts(name, upload.as_mut(), from);
        if put.is_err() {
            // What is left behind otherwise costs room, and is nobody's object.
            let _aborted = wait(upload.abort());
        }
        put
    }

    /// Reads a part of an object; shorter where the object ends in it.
    /// # Errors
    /// [`Fault::Store`], also where there is none.
    pub async fn read_range(&self, name: &str, range: Range<u64>) -> Result<Bytes, Fault> {
        let read = self.store.get_range(&path(name)?, range).await;
        read.map_err(|error| Fault::Store(name.to_owned(), error))
    }

    /// How many bytes an object has.
    /// # Errors
    /// [`Fault::Store`], also where there is none.
    pub async fn bytes(&self, name: &str) -> Result<u64, Fault> {
        let found = self.store.head(&path(name)?).await;
        let found = found.map_err(|error| Fault::Store(name.to_owned(), error))?;
        Ok(found.size)
    }

    /// Removes an object; one that is not there is no fault. Only for names that nobody was promised.
    /// # Errors
    /// [`Fault::Store`].
    pub async fn remove(&self, name: &str) -> Result<(), Fault> {
        match self.store.delete(&path(name)?).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(Fault::Store(name.to_owned(), error)),
        }
    }

    /// Reads an object, if there is one.
    /// # Errors
    /// [`Fault::Store`].
    pub async fn get(&self, name: &str) -> Result<Option<Bytes>, Fault> {
        let fault = |error| Fault::Store(name.to_owned(), error);
        match self.store.get(&path(name)?).await {
            Ok(found) => found.bytes().await.map(Some).map_err(fault),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(fault(error)),
        }
    }
}

/// A bucket is a trail that can be audited: the exchange checks its own as a regulator does.
impl Files for Objects {
    type Fault = Fault;

    fn names(&mut self) -> Result<Vec<String>, Fault> {
        wait(self.list())
    }

    /// Whole: what was put here has its limits already.
    fn read(&mut self, name: &str, _limit: usize) -> Result<Option<Vec<u8>>, Fault> {
        Ok(wait(self.get(name))?.map(Vec::from))
    }
}

fn put_parts(
    name: &str,
    upload: &mut dyn MultipartUpload,
    from: &mut dyn Read,
) -> Result<(), Fault> {
    let fault = |error| Fault::Store(name.to_owned(), error);
    let mut is_first = true;
    loop {
        // Grown by doubling it would take twice its room.
        let mut part = Vec::with_capacity(usize::try_from(PART_BYTES).unwrap_or_default());
        let read = from.take(PART_BYTES).read_to_end(&mut part);
        let read = read.map_err(|error| Fault::Read(name.to_owned(), error))?;
        // An empty object is one empty part.
        if read == 0 && !is_first {
            return wait(upload.complete()).map(drop).map_err(fault);
        }
        is_first = false;
        wait(upload.put_part(Bytes::from(part).into())).map_err(fault)?;
    }
}

/// Names are taken as they are: no percent-encoding may touch `.p` (TRAIL C.12).
fn path(name: &str) -> Result<Name, Fault> {
    Name::parse(name).map_err(|error| Fault::Store(name.to_owned(), error.into()))
}

/// Removes the `name#1` files that `object_store` stages and a killed process leaves behind (STYLE §8).
fn remove_staged(folder: &Path) -> io::Result<()> {
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for item in fs::read_dir(folder)? {
            let item = item?;
            if item.file_type()?.is_dir() {
                folders.push(item.path());
            } else if is_staged(&item.file_name().to_string_lossy()) {
                remove_if_there(&item.path())?;
            }
        }
    }
    Ok(())
}

/// Another server may be at work here: it has named the file, and removed this name itself.
fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(gone) if gone.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

fn is_staged(name: &str) -> bool {
    name.rsplit_once('#')
        .is_some_and(|(_, number)| !number.is_empty() && number.bytes().all(|c| c.is_ascii_digit()))
}

/// Waits for a future on this thread, inside a runtime or without one: the publisher is plain code (STYLE §6).
pub fn wait<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_bytes_again_are_no_error_and_others_are_an_alarm() {
        let folder = tempfile::tempdir().unwrap();
        let objects = Objects::folder(folder.path()).unwrap();
        let name = "tile/0/x001/067.p/112";
        assert_eq!(wait(objects.get(name)).unwrap(), None);
        wait(objects.put(name, Bytes::from_static(b"one"))).unwrap();
        wait(objects.put(name, Bytes::from_static(b"one"))).unwrap();
        let alarm = wait(objects.put(name, Bytes::from_static(b"two")));
        assert!(matches!(alarm, Err(Fault::Differs(_))));
        assert_eq!(fs::read(folder.path().join(name)).unwrap(), b"one");
        wait(objects.replace(name, Bytes::from_static(b"three"))).unwrap();
        assert_eq!(wait(objects.get(name)).unwrap().unwrap(), &b"three"[..]);
    }

    #[test]
    fn objects_that_come_together_have_no_names_before_all_their_bytes_are_there() {
        let folder = tempfile::tempdir().unwrap();
        let objects = Objects::folder(folder.path()).unwrap();
        let names = ["tile/0/000", "tile/entries/000.p/7", "tile/0/001"];
        let all = |bytes: &'static [u8]| names.map(|name| (name.to_owned(), bytes.into())).to_vec();
        let mut coming = objects.stage(all(b"one")).unwrap();
        assert_eq!(wait(objects.list()).unwrap(), [""; 0]);
        wait(objects.name(&mut coming[1])).unwrap();
        assert_eq!(wait(objects.list()).unwrap(), names[1..2]);
        // The process died here: another one puts them again.
        drop(coming);
        let mut coming = objects.stage(all(b"one")).unwrap();
        coming
            .iter_mut()
            .for_each(|object| wait(objects.name(object)).unwrap());
        objects.keep(&coming).unwrap();
        let mut coming = objects.stage(all(b"two")).unwrap();
        let alarm = wait(objects.name(&mut coming[2]));
        assert!(matches!(alarm, Err(Fault::Differs(name)) if name == names[2]));
        drop(coming);
        let found = names.map(|name| fs::read(folder.path().join(name)).unwrap());
        assert_eq!(found, [b"one"; 3]);
        assert_eq!(wait(objects.list()).unwrap().len(), 3);
    }

    #[test]
    fn a_start_removes_what_a_killed_put_left_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("tile/0");
        fs::create_dir_all(&inner).unwrap();
        for name in ["000", "000#1", "001#22", "a#b", "c#"] {
            fs::write(inner.join(name), b"").unwrap();
        }
        Objects::folder(folder.path()).unwrap();
        let left: Vec<_> = ["000", "000#1", "001#22", "a#b", "c#"]
            .into_iter()
            .filter(|name| inner.join(name).exists())
            .collect();
        assert_eq!(left, ["000", "a#b", "c#"]);
    }

    #[test]
    fn a_name_outside_the_folder_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let objects = Objects::folder(folder.path()).unwrap();
        for bad in ["../x", "a//b", "a/./b"] {
            assert!(
                wait(objects.put(bad, Bytes::from_static(b"x"))).is_err(),
                "{bad}"
            );
        }
    }
}
